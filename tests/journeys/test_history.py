"""Real history on its way from the source to the Quant: digit for digit, its holes included."""

import csv
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
from sqlalchemy.orm import Session

from services.pricing.feeds.coincap import CoinCap
from services.pricing.feeds.schemas import Feed
from services.pricing.feeds.service import Feeds
from services.pricing.settings import PricingSettings
from shared.database import Database
from tests.conftest import cloned
from tests.standins.coincap import StandinCoinCap, point
from tests.world import World, running_world, until

KEY = "stand-in-key"
HOLE = {"start": "2019-03-20T00:00:00Z", "end": "2019-04-01T00:00:00Z", "missing": 12}


@dataclass
class At:
    """A clock that stands still."""

    moment: datetime

    def now(self, _session: Session) -> datetime:
        return self.moment


def _rows(file: Path, time: str, column: str) -> list[tuple[str, str]]:
    with file.open(newline="") as lines:
        return [(row[time], row[column]) for row in csv.DictReader(lines)]


def _grant(ops: httpx.Client, quant: httpx.Client, dataset: str, *frequencies: str) -> None:
    account = quant.get("/v1/me").json()["account"]
    body = {"account": account, "dataset": dataset, "frequencies": frequencies, "reason": "A test"}
    assert ops.post("/v1/grants", json=body).status_code == 201


def _pages(quant: httpx.Client, path: str, **query: Any) -> Iterator[dict[str, Any]]:
    cursor = None
    while True:
        answer = quant.get(path, params={**query, **({"cursor": cursor} if cursor else {})}).json()
        yield answer
        cursor = answer["next_cursor"]
        if cursor is None:
            return


def _served(quant: httpx.Client, dataset: str, frequency: str) -> list[dict[str, Any]]:
    path = f"/v1/datasets/{dataset}/prices"
    return [bar for page in _pages(quant, path, frequency=frequency, limit=7_000) for bar in page["data"]]


def _csv(quant: httpx.Client, dataset: str, frequency: str) -> list[list[str]]:
    answer = quant.get(f"/v1/datasets/{dataset}/prices", params={"frequency": frequency, "format": "csv"})
    return list(csv.reader(answer.text.splitlines()))


def _sync(world: World, coincap: StandinCoinCap, moment: datetime) -> dict[str, int]:
    feeds = [Feed("BTC", "bitcoin", ("1h", "1d")), Feed("ETH", "ethereum", ("1d",))]
    settings = world.settings(PricingSettings)
    with (
        closing(Database(settings.database, pool_size=2)) as database,
        CoinCap(coincap.url, KEY, now=lambda: moment) as source,
    ):
        return Feeds(database, source, clock=At(moment)).sync_prices(feeds).counts


def test_what_coincap_gave_is_served_digit_by_digit_and_the_twelve_day_hole_is_reported_not_filled(
    world: World, history: Path, ops: httpx.Client, quant: httpx.Client
) -> None:
    end = datetime(2020, 1, 18, tzinfo=UTC)
    with StandinCoinCap(KEY, now=lambda: end) as coincap:
        coincap.load_csv("bitcoin", "h1", history / "btc_usd_1h_2017-2019.csv", "open")
        coincap.load_csv("bitcoin", "d1", history / "btc_usd_1d_2014-2020.csv", "close")
        coincap.load_csv("ethereum", "d1", history / "eth_usd_1d_2016-2020.csv", "close")
        first = _sync(world, coincap, datetime(2019, 6, 30, tzinfo=UTC))
        second = _sync(world, coincap, end)
    hourly = _rows(history / "btc_usd_1h_2017-2019.csv", "time", "open")
    daily = {
        symbol: [(f"{day}T00:00:00Z", price) for day, price in _rows(history / name, "date", "close")]
        for symbol, name in (("BTC", "btc_usd_1d_2014-2020.csv"), ("ETH", "eth_usd_1d_2016-2020.csv"))
    }
    assert first["inserted"] + second["inserted"] == len(hourly) + len(daily["BTC"]) + len(daily["ETH"])
    _grant(ops, quant, "BTC", "1h", "1d", "1mo")
    _grant(ops, quant, "ETH", "1d")
    for dataset, frequency, expected in (
        ("BTC", "1h", hourly),
        ("BTC", "1d", daily["BTC"]),
        ("ETH", "1d", daily["ETH"]),
    ):
        bars = _served(quant, dataset, frequency)
        assert [(bar["timestamp"], bar["price_usd"]) for bar in bars] == expected
        assert all(bar["final"] for bar in bars)
        header, *rows = _csv(quant, dataset, frequency)
        assert header == ["timestamp", "price_usd", "final"]
        assert [(timestamp, price) for timestamp, price, _ in rows] == expected
    coverage = {row["frequency"]: row for row in quant.get("/v1/datasets/BTC/coverage").json()["data"]}
    assert coverage["1d"]["gaps"] == [HOLE]
    assert coverage["1h"]["gaps"] == []
    assert {row["source"] for row in coverage.values()} == {"coincap"}
    months = _served(quant, "BTC", "1mo")
    march = next(month for month in months if month["timestamp"] == "2019-03-01T00:00:00Z")
    assert (march["samples"], march["final"]) == (19, False)


def test_a_file_imported_by_command_is_served_digit_by_digit(
    world: World, history: Path, ops: httpx.Client, quant: httpx.Client
) -> None:
    dataset = {"symbol": "XBT", "name": "Bitcoin, another vendor", "frequencies": ["1h"]}
    assert ops.post("/v1/datasets", json=dataset).status_code == 201
    file = history / "btc_usd_1h_2017-2019.csv"
    options = ("--dataset=XBT", "--frequency=1h", "--column=close", "--json")
    done = subprocess.run(
        [sys.executable, "-m", "cli", "import", "prices", str(file), *options],
        env={**os.environ, **world.env},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    expected = _rows(file, "time", "close")
    assert json.loads(done.stdout)["inserted"] == len(expected)
    _grant(ops, quant, "XBT", "1h")
    assert [(bar["timestamp"], bar["price_usd"]) for bar in _served(quant, "XBT", "1h")] == expected
    assert quant.get("/v1/datasets/XBT/prices?frequency=1h").json()["source"] == "imported"


def test_a_dataset_that_ops_offers_is_synced_by_a_job_and_served(tmp_path: Path) -> None:
    midnight = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    days = [(midnight - timedelta(days=n), f"{n}.000000000000000001") for n in range(40, 0, -1)]
    with StandinCoinCap(KEY, unknown="empty") as coincap, cloned() as stores:
        coincap.give_history("solana", "d1", [point(day, price) for day, price in days])
        settings = {"TICKGATE_COINCAP_URL": coincap.url, "TICKGATE_COINCAP_API_KEY": KEY}
        with (
            running_world(stores, tmp_path, **settings) as world,
            world.person("ops") as ops,
            world.person("quant") as quant,
        ):
            offered = {"symbol": "SOL", "name": "Solana", "frequencies": ["1d"], "sources": {"coincap": "solana"}}
            assert ops.post("/v1/datasets", json=offered).status_code == 201
            run = ops.post("/v1/jobs/sync-prices/run").json()
            until(lambda: _run(ops, run["id"])["state"] == "done", "the run")
            _grant(ops, quant, "SOL", "1d")
            bars = _served(quant, "SOL", "1d")
            assert [(bar["timestamp"], bar["price_usd"]) for bar in bars] == [
                (f"{day:%Y-%m-%dT%H:%M:%SZ}", price) for day, price in days
            ]
            assert quant.get("/v1/datasets/SOL/prices?frequency=1d").json()["source"] == "coincap"
            assert "BTC 1d: no price at all of 'bitcoin'" in _run(ops, run["id"])["error"]


def _run(ops: httpx.Client, id_: str) -> dict[str, Any]:
    return next(run for run in ops.get("/v1/jobs").json()["data"] if run["id"] == id_)
