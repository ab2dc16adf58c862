"""The stand-in itself, asked without our client: what it serves when nothing goes wrong, and its limits."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from tests.standins.coincap import StandinCoinCap, milliseconds, point

NOW = datetime(2025, 6, 10, 5, 30, tzinfo=UTC)
HOUR = timedelta(hours=1)


@pytest.fixture
def upstream() -> Iterator[StandinCoinCap]:
    with StandinCoinCap("key", now=lambda: NOW) as standin:
        standin.give_history("bitcoin", "h1", [point(NOW.replace(minute=0) - n * HOUR, "1.0") for n in range(-2, 800)])
        yield standin


def ask(upstream: StandinCoinCap, path: str, key: str = "key", **params: Any) -> httpx.Response:
    return httpx.get(upstream.url + path, params=params, headers={"Authorization": f"Bearer {key}"})


def test_a_bare_history_is_thirty_days_with_the_bucket_forming(upstream: StandinCoinCap) -> None:
    answer = ask(upstream, "/assets/bitcoin/history", interval="h1").json()
    assert len(answer["data"]) == 720
    assert answer["data"][0] == {
        "priceUsd": "1.0",
        "time": 1749531600000,
        "date": "2025-06-10T05:00:00.000Z",
    }
    assert answer["timestamp"] == milliseconds(NOW)


@pytest.mark.parametrize(
    "asked",
    [
        {"interval": "m"},
        {},
        {"interval": "h1", "start": 1},
        {"interval": "h1", "end": 1},
        {"interval": "h1", "start": 0, "end": 31 * 86_400_000},
    ],
)
def test_it_refuses_what_coincap_may_refuse(upstream: StandinCoinCap, asked: dict[str, Any]) -> None:
    assert ask(upstream, "/assets/bitcoin/history", **asked).status_code == 400


def test_it_wants_the_key_and_counts_every_call(upstream: StandinCoinCap) -> None:
    assert ask(upstream, "/assets", key="other").status_code == 401
    assert ask(upstream, "/assets", ids="a,b").json()["data"] == []
    assert upstream.calls == {"/assets": 2}
    assert upstream.queries[1] == ("/assets", {"ids": "a,b"})


def test_one_asset_is_an_object_with_nulls(upstream: StandinCoinCap) -> None:
    upstream.give_market_cap("bitcoin", None, price="5")
    data = ask(upstream, "/assets/bitcoin").json()["data"]
    assert (data["id"], data["marketCapUsd"], data["priceUsd"]) == ("bitcoin", None, "5")
    assert ask(upstream, "/assets/asdf").json()["error"] == "asdf not found"
    assert ask(upstream, "/rates").status_code == 404


def test_faults_go_to_the_path_they_are_meant_for(upstream: StandinCoinCap) -> None:
    upstream.fail_next("server-error", path="history")
    assert ask(upstream, "/assets").status_code == 200
    assert ask(upstream, "/assets/bitcoin/history", interval="h1").status_code == 500
    assert ask(upstream, "/assets/bitcoin/history", interval="h1").status_code == 200
    with pytest.raises(ValueError, match="gremlins"):
        upstream.fail_next("gremlins")
