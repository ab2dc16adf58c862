"""Usage as Ops see it: what was handed out, by whom, written down beside the reads and at the end."""

from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any
from urllib.parse import urlencode
from uuid import UUID

import pytest
from sqlalchemy import text

from services.pricing.market_caps.schemas import DayCap
from services.pricing.market_caps.service import MarketCapService
from services.pricing.module import module
from services.pricing.settings import PricingSettings
from services.pricing.usage import providers
from services.pricing.usage.providers import write_down
from services.pricing.usage.repository import UsageRepository
from services.pricing.usage.uses import Uses
from shared.application import create_app
from shared.clock import DatabaseClock
from shared.database import Database
from shared.method import HEADER
from tests.services.pricing import entitlements
from tests.services.pricing.conftest import ACCOUNT, DAY, Service, bars
from tests.serving import listening
from tests.world import until

PRICES = "/v1/datasets/BTC/prices"
NOW = datetime.now(UTC)


@pytest.fixture(autouse=True)
def quickly(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(providers, "PERIOD", 0.05)


def write(database: Database, *reads: tuple[UUID, str, str, int, datetime]) -> None:
    for account, dataset, frequency, rows, at in reads:
        uses = Uses(now=lambda at=at: at)  # type: ignore[misc]
        uses.add(account, f"account {account.int % 100}", dataset, frequency, rows)
        write_down(uses, database)


def test_every_bar_that_is_handed_out_is_counted(service: Service) -> None:
    service.load("BTC", "1h", bars(30))
    service.load("BTC", "1d", bars(30, step=DAY))
    service.get(PRICES, frequency="1h", limit=7)
    etag = service.get(PRICES, frequency="1h", format="csv").headers["etag"]
    service.get(PRICES, frequency="1h", format="csv", known=etag)
    service.get(PRICES, frequency="1h", format="parquet")
    service.get(PRICES, frequency="1mo")
    until(lambda: sum(row["rows"] for row in listed(service)) >= 69, "the usage")
    found = listed(service)
    assert [(row["account"], row["dataset"], row["frequency"], row["rows"]) for row in found] == [
        (str(ACCOUNT), "BTC", "1h", 67),
        (str(ACCOUNT), "BTC", "1mo", 2),
    ]
    assert {row["account_name"] for row in found} == {"test"}
    assert datetime.now(UTC) - datetime.fromisoformat(found[0]["last_read_at"]) < timedelta(minutes=1)


def test_what_is_asked_for_with_head_is_not_handed_out(service: Service) -> None:
    service.load("BTC", "1h", bars(30))
    headers = service._headers("quant", None) | {HEADER: "HEAD"}
    for format_ in ("csv", "json", "parquet"):
        assert service.client.get(f"{PRICES}?frequency=1h&format={format_}", headers=headers).status_code == 200
    service.get(PRICES, frequency="1h", limit=7)
    until(lambda: bool(listed(service)), "the usage")
    assert [row["rows"] for row in listed(service)] == [7]


def test_market_caps_are_counted_unless_they_were_known(service: Service) -> None:
    with service.database.transaction() as session:
        caps = {date(2025, 6, n): DayCap(Decimal("1.5"), NOW) for n in (1, 2, 3)}
        MarketCapService(session, DatabaseClock()).record("BTC", caps, source="coincap", provenance="observed")
    etag = service.get("/v1/datasets/BTC/market-caps", limit=2).headers["etag"]
    service.get("/v1/datasets/BTC/market-caps", limit=2, known=etag)
    service.get("/v1/datasets/BTC/market-caps", format="csv")
    until(lambda: sum(row["rows"] for row in listed(service)) >= 5, "the usage")
    assert [(row["frequency"], row["rows"]) for row in listed(service)] == [("market-caps", 5)]


def listed(service: Service, account: str = "", dataset: str = "") -> list[dict[str, Any]]:
    query = {name: value for name, value in {"account": account, "dataset": dataset}.items() if value}
    rows: list[dict[str, Any]] = service.get(f"/v1/usage?{urlencode(query)}", role="ops").json()["data"]
    return rows


def test_thirty_days_are_added_up_and_filtered(service: Service) -> None:
    ada, bob = UUID(int=1), UUID(int=2)
    write(
        service.database,
        (ada, "BTC", "1h", 5, NOW),
        (ada, "BTC", "1h", 6, NOW - 3 * DAY),
        (ada, "BTC", "1h", 1000, NOW - 31 * DAY),
        (ada, "ETH", "1d", 7, NOW),
        (bob, "BTC", "1d", 8, NOW - DAY),
    )
    assert [(row["account_name"], row["dataset"], row["rows"]) for row in listed(service)] == [
        ("account 1", "BTC", 11),
        ("account 1", "ETH", 7),
        ("account 2", "BTC", 8),
    ]
    assert [row["rows"] for row in listed(service, account=str(ada))] == [11, 7]
    assert [row["rows"] for row in listed(service, dataset="BTC")] == [11, 8]
    assert [row["rows"] for page in pages(service) for row in page] == [11, 7, 8]
    assert service.get("/v1/usage", role="ops", dataset="btc").json()["code"] == "invalid-input"


def pages(service: Service) -> Iterator[list[dict[str, Any]]]:
    answer = service.get("/v1/usage", role="ops", limit=1)
    while True:
        yield answer.json()["data"]
        if "next" not in answer.links:
            return
        answer = service.get(answer.links["next"]["url"], role="ops")


def test_what_is_counted_is_written_down_before_the_service_ends(
    settings: PricingSettings, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(providers, "PERIOD", 3600)
    app = create_app(module, settings)
    with listening(app):
        app.state.kept["usage"].add(ACCOUNT, "Ada", "BTC", "1h", 5)
    with database.transaction() as session:
        assert session.execute(text("select rows from pricing.usage")).scalars().all() == [5]


def test_a_database_that_is_away_costs_no_count(database: Database) -> None:
    uses = Uses()
    uses.add(ACCOUNT, "Ada", "BTC", "1h", 5)
    with closing(Database("postgresql://nobody@127.0.0.1:1/nothing")) as away:
        write_down(uses, away)
    write_down(uses, database)
    with database.transaction() as session:
        assert session.execute(text("select rows from pricing.usage")).scalars().all() == [5]


def test_entitlements_hears_how_far_the_counts_have_come_and_of_what_it_missed_later(service: Service) -> None:
    heard = entitlements.app.state
    ada, day = UUID(int=1), NOW.date().isoformat()
    heard.status = 500
    write(service.database, (ada, "BTC", "1h", 5, NOW - timedelta(seconds=1)))
    service.load("BTC", "1h", bars(3))
    assert service.get(PRICES, frequency="1h").status_code == 503
    heard.status = 200
    until(lambda: heard.reported, "the report")
    write(service.database, (ada, "BTC", "1h", 7, NOW))
    until(lambda: len(heard.reported) > 1, "the second report")
    told = [(row["account"], row["dataset"], row["frequency"], row["day"], row["rows"]) for row in heard.reported]
    assert told == [(str(ada), "BTC", "1h", day, 5), (str(ada), "BTC", "1h", day, 12)]
    with service.database.transaction() as session:
        assert UsageRepository(session).unreported(9) == []


def test_what_is_read_while_it_is_reported_is_reported_next(database: Database) -> None:
    ada = UUID(int=1)
    write(database, (ada, "BTC", "1h", 5, NOW))
    with database.transaction() as session:
        told = UsageRepository(session).unreported(9)
    write(database, (ada, "BTC", "1h", 7, NOW), (ada, "ETH", "1d", 1, NOW))
    with database.transaction() as session:
        UsageRepository(session).mark(told)
        assert [(row["dataset"], row["rows"]) for row in UsageRepository(session).unreported(9)] == [
            ("BTC", 12),
            ("ETH", 1),
        ]
