"""Market capitalisations over HTTP: shape, pages, ranges, refusals."""

from datetime import date, timedelta
from decimal import Decimal

import pytest

from services.pricing.market_caps.schemas import DayCap
from services.pricing.market_caps.service import MarketCapService
from shared.clock import DatabaseClock
from tests.services.pricing import entitlements
from tests.services.pricing.conftest import ACCOUNT, T0, Service

CAPS = "/v1/datasets/BTC/market-caps"


@pytest.fixture
def service(service: Service) -> Service:
    with service.database.transaction() as session:
        caps = MarketCapService(session, DatabaseClock())
        for number in range(7):
            observed_at = T0 + timedelta(days=number, hours=20)
            day, cap = date(2025, 6, 10 + number), Decimal(f"139493812167{5 + number}.859863281250000000")
            caps.record("BTC", {day: DayCap(cap, observed_at)}, source="coincap", provenance="observed")
    return service


def test_the_shape_and_who_is_asked(service: Service) -> None:
    answer = service.get(CAPS, limit=1)
    body = answer.json()
    assert body.pop("next_cursor")
    assert body == {
        "dataset": "BTC",
        "currency": "USD",
        "source": "coincap",
        "data": [
            {
                "date": "2025-06-10",
                "market_cap_usd": "1394938121675.859863281250000000",
                "observed_at": "2025-06-10T20:00:00Z",
                "provenance": "observed",
            }
        ],
    }
    assert entitlements.app.state.asked == [{"account": str(ACCOUNT), "dataset": "BTC", "offered": ["1h", "1d", "1mo"]}]


def test_what_is_retired_is_not_among_what_is_asked_about(service: Service) -> None:
    service.get("/v1/datasets/ETH/market-caps")
    assert entitlements.app.state.asked[-1]["offered"] == ["1d"]


@pytest.mark.parametrize("limit", [1, 2, 7, 500])
def test_pages_neither_skip_nor_repeat(service: Service, limit: int) -> None:
    answer, days = service.get(CAPS, limit=limit), []
    while True:
        days += [row["date"] for row in answer.json()["data"]]
        if "next" not in answer.links:
            break
        answer = service.get(answer.links["next"]["url"])
    assert days == [f"2025-06-{day}" for day in range(10, 17)]


def test_a_range_is_half_open(service: Service) -> None:
    rows = service.get(CAPS, start="2025-06-11", end="2025-06-13").json()["data"]
    assert [row["date"] for row in rows] == ["2025-06-11", "2025-06-12"]


def test_csv_is_the_whole_range_unless_limited(service: Service) -> None:
    whole = service.get(CAPS, format="csv")
    assert whole.headers["content-type"] == "text/csv; charset=utf-8"
    assert whole.headers["content-disposition"] == 'attachment; filename="BTC_USD_market_caps.csv"'
    header, *lines = whole.text.splitlines()
    assert header == "date,market_cap_usd,observed_at,provenance"
    assert lines[0] == "2025-06-10,1394938121675.859863281250000000,2025-06-10T20:00:00Z,observed"
    listed = service.get(CAPS).json()["data"]
    assert [dict(zip(header.split(","), line.split(","), strict=True)) for line in lines] == listed
    first = service.get(CAPS, accept="text/csv", limit=4)
    rest = service.get(first.links["next"]["url"], accept="text/csv")
    assert first.text.splitlines() + rest.text.splitlines()[1:] == whole.text.splitlines()
    assert service.get(CAPS, format="csv", end="2020-01-01").text == header + "\n"


def test_no_format_that_is_accepted(service: Service) -> None:
    answer = service.get(CAPS, accept="application/vnd.apache.parquet")
    assert (answer.status_code, answer.json()["code"]) == (406, "not-acceptable")
    assert answer.json()["formats"] == ["application/json", "text/csv"]


def test_refusals(service: Service) -> None:
    cursor = service.get(CAPS, limit=1).json()["next_cursor"]
    assert service.get(CAPS, start="2025-06-10", cursor=cursor).json()["code"] == "invalid-cursor"
    assert service.get("/v1/datasets/DOGE/market-caps").json()["code"] == "dataset-not-found"
    entitlements.app.state.refusal = entitlements.REFUSAL
    assert service.get(CAPS, limit=501).json()["code"] == "invalid-input"
    assert service.get(CAPS).json()["code"] == "never-requested"
    assert service.get(CAPS, limit=1, cursor=cursor).status_code == 403


def test_nothing_stored(service: Service) -> None:
    body = service.get("/v1/datasets/ETH/market-caps").json()
    assert (body["data"], body["source"], body["next_cursor"]) == ([], None, None)


def test_asked_again_it_is_304_while_nothing_has_changed_for_who_may_read_now(service: Service) -> None:
    answer, table = service.get(CAPS, limit=3), service.get(CAPS, format="csv")
    tags = answer.headers["etag"], table.headers["etag"]
    assert tags[0] != tags[1]
    again = service.get(CAPS, limit=3, known=tags[0])
    assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", tags[0])
    with service.database.transaction() as session:
        cap = {date(2025, 6, 9): DayCap(Decimal("1.5"), T0 - timedelta(hours=4))}
        MarketCapService(session, DatabaseClock()).record("BTC", cap, source="coincap", provenance="observed")
    changed = service.get(CAPS, format="csv", known=tags[1])
    assert (changed.status_code, changed.headers["etag"] != tags[1]) == (200, True)
    entitlements.app.state.refusal = entitlements.REFUSAL
    assert service.get(CAPS, limit=3, known=tags[0]).status_code == 403
