"""Price reads over HTTP: pages, CSV, cursors, and every refusal in its order."""

import json
from collections.abc import Iterator
from datetime import timedelta
from decimal import Decimal
from typing import Any

import httpx
import pytest
from sqlalchemy import text

from services.pricing.prices import controller
from services.pricing.prices.providers import History, Reading
from services.pricing.prices.service import PriceService
from shared.clock import DatabaseClock
from tests.services.pricing import entitlements
from tests.services.pricing.conftest import ACCOUNT, DAY, HOUR, T0, Bar, Service, bars

PRICES = "/v1/datasets/BTC/prices"


def pages(service: Service, **query: Any) -> Iterator[dict[str, object]]:
    """Page after page, by the `Link` header."""
    answer = service.get(PRICES, **query)
    while True:
        assert answer.status_code == 200, answer.text
        yield answer.json()
        if "next" not in answer.links:
            assert answer.json()["next_cursor"] is None
            return
        answer = service.get(answer.links["next"]["url"])


def rows(service: Service, **query: Any) -> list[dict[str, object]]:
    return [row for page in pages(service, **query) for row in page["data"]]  # type: ignore[attr-defined]


def test_the_shape_of_a_page(service: Service) -> None:
    service.load("BTC", "1h", bars(2))
    answer = service.get(PRICES, frequency="1h")
    assert answer.headers["content-type"] == "application/json"
    assert answer.json() == {
        "dataset": "BTC",
        "frequency": "1h",
        "currency": "USD",
        "source": "coincap",
        "data": [
            {"timestamp": "2025-06-10T00:00:00Z", "price_usd": "100.50", "final": True},
            {"timestamp": "2025-06-10T01:00:00Z", "price_usd": "101.50", "final": True},
        ],
        "next_cursor": None,
    }
    assert entitlements.app.state.asked == [{"account": str(ACCOUNT), "dataset": "BTC", "frequency": "1h"}]


def test_nothing_stored_is_an_empty_page_and_a_csv_of_its_header(service: Service) -> None:
    empty = service.get(PRICES, frequency="1mo")
    assert (empty.json()["data"], empty.json()["source"]) == ([], None)
    table = service.get(PRICES, frequency="1mo", format="csv")
    assert table.text == "timestamp,price_usd,final,open_usd,high_usd,low_usd,mean_usd,samples\n"
    assert "tickgate-source" not in table.headers


@pytest.mark.parametrize(("frequency", "step"), [("1h", HOUR), ("1d", DAY), ("1mo", DAY)])
@pytest.mark.parametrize("limit", [1, 3, 7, 23, 10_000])
def test_pages_neither_skip_nor_repeat(service: Service, frequency: str, step: timedelta, limit: int) -> None:
    stored = bars(500 if frequency == "1mo" else 23, step=step)
    service.load("BTC", "1d" if frequency == "1mo" else frequency, [*stored[:5], *stored[7:]])
    whole = rows(service, frequency=frequency)
    assert len(whole) == (17 if frequency == "1mo" else 21)
    assert rows(service, frequency=frequency, limit=limit) == whole
    within = {"start": "2025-06-10T02:00:00Z", "end": "2026-03-01"}
    inner = rows(service, frequency=frequency, **within)
    assert inner == [row for row in whole if "2025-06-10T02" <= str(row["timestamp"]) < "2026-03-01"]
    assert rows(service, frequency=frequency, limit=limit, **within) == inner


def test_a_range_is_half_open(service: Service) -> None:
    service.load("BTC", "1h", bars(4))
    found = rows(service, frequency="1h", start="2025-06-10T03:00:00+02:00", end="2025-06-10T03:00:00Z")
    assert [row["timestamp"] for row in found] == ["2025-06-10T01:00:00Z", "2025-06-10T02:00:00Z"]


@pytest.mark.parametrize("frequency", ["1h", "1mo"])
@pytest.mark.parametrize("chunk", [7, 50_000])
def test_csv_equals_json(service: Service, frequency: str, chunk: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(controller, "CHUNK", chunk)
    monkeypatch.setattr(controller, "PIECE", 100)
    service.load("BTC", "1h", bars(1500))
    service.load("BTC", "1d", bars(500, step=DAY))
    answer = service.get(PRICES, frequency=frequency, format="csv")
    assert answer.headers["content-type"] == "text/csv; charset=utf-8"
    assert answer.headers["content-disposition"] == f'attachment; filename="BTC_USD_{frequency}.csv"'
    assert answer.headers["tickgate-source"] == "coincap"
    head, *lines = answer.text.splitlines()
    expected = rows(service, frequency=frequency)
    assert head.split(",") == list(expected[0])
    written = [[json.dumps(value).strip('"') for value in row.values()] for row in expected]
    assert [line.split(",") for line in lines] == written


def test_csv_by_accept_and_in_pages(service: Service) -> None:
    service.load("BTC", "1h", bars(5))
    whole = service.get(PRICES, frequency="1h", accept="text/csv").text.splitlines()
    first = service.get(PRICES, frequency="1h", accept="text/csv", limit=2)
    rest = service.get(first.links["next"]["url"], accept="text/csv")
    last = service.get(rest.links["next"]["url"], accept="text/csv")
    assert first.text.splitlines() + rest.text.splitlines()[1:] + last.text.splitlines()[1:] == whole
    assert "link" not in last.headers


def test_a_stream_is_cut_off_when_access_ends(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(controller, "CHUNK", 10)
    monkeypatch.setattr(controller, "CHECK_SECONDS", 0)
    service.load("BTC", "1h", bars(100))
    assert len(service.get(PRICES, frequency="1h", format="csv").text.splitlines()) == 101
    assert len(entitlements.app.state.asked) > 10
    entitlements.reset()
    entitlements.app.state.refusal, entitlements.app.state.yeses = entitlements.REFUSAL, 5
    with service.stream(PRICES, frequency="1h", format="csv") as answer:
        assert answer.status_code == 200
        with pytest.raises(httpx.RemoteProtocolError, match="peer closed connection"):
            answer.read()
    assert len(entitlements.app.state.asked) == 6


def test_a_stream_never_mixes_two_sources(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(controller, "CHUNK", 10)
    service.load("BTC", "1h", bars(100), source="sample")
    read = History.read

    def replaced_after_the_first(history: History, *args: object, **options: object) -> object:
        found = read(history, *args, **options)  # type: ignore[arg-type]
        service.load("BTC", "1h", bars(100))
        return found

    monkeypatch.setattr(History, "read", replaced_after_the_first)
    with pytest.raises(httpx.RemoteProtocolError, match="peer closed connection"):
        service.get(PRICES, frequency="1h", format="csv")


def test_a_cursor_fits_its_own_question_only(service: Service) -> None:
    service.load("BTC", "1h", bars(5))
    service.load("BTC", "1d", bars(5, step=DAY))
    cursor = service.get(PRICES, frequency="1h", limit=2).json()["next_cursor"]
    assert service.get(PRICES, frequency="1h", limit=3, cursor=cursor).status_code == 200
    forged = cursor[:-2] + ("AA" if cursor[-2:] != "AA" else "BB")
    for query in (
        {"frequency": "1d", "cursor": cursor},
        {"frequency": "1h", "cursor": cursor, "start": "2025-06-10"},
        {"frequency": "1h", "cursor": cursor, "end": "2025-06-11"},
        {"frequency": "1h", "cursor": forged},
        {"frequency": "1h", "cursor": "rubbish"},
        {"frequency": "1h", "cursor": "é"},
    ):
        service.statements.clear()
        answer = service.get(PRICES, **query)
        assert (answer.status_code, answer.json()["code"]) == (400, "invalid-cursor"), query
        assert service.statements == []
    assert service.get("/v1/datasets/ETH/prices", frequency="1d", cursor=cursor).status_code == 400


def test_r6_a_range_that_is_too_large_is_refused_with_the_parts_to_read_it_in(service: Service) -> None:
    service.load("BTC", "1h", bars(3))
    for format_ in ("json", "csv", "arrow", "parquet"):
        answer = service.get(PRICES, frequency="1h", start="1901-01-01", end="2999-01-01", format=format_)
        assert (answer.status_code, answer.json()["code"]) == (422, "range-too-large")
    assert service.statements == []
    assert entitlements.app.state.asked == []
    parts = answer.json()["chunks"]
    assert [parts[0]["start"], parts[-1]["end"]] == ["1901-01-01T00:00:00Z", "2999-01-01T00:00:00Z"]
    found = [service.get(PRICES, frequency="1h", **part) for part in parts]
    assert [len(page.json()["data"]) for page in found] == [3, 0]
    assert len(rows(service, frequency="1h", start="1901-01-01")) == 3


def test_no_format_that_is_accepted(service: Service) -> None:
    answer = service.get(PRICES, frequency="1h", accept="text/html")
    assert (answer.status_code, answer.json()["code"]) == (406, "not-acceptable")
    assert answer.json()["formats"][:2] == ["application/json", "text/csv"]
    assert service.get(PRICES, frequency="1h", format="json", accept="text/html").status_code == 200
    assert len(service.statements) == 1


def test_a_cursor_ends_with_the_series_it_is_of(service: Service) -> None:
    service.load("BTC", "1h", bars(5), source="sample")
    cursor = service.get(PRICES, frequency="1h", limit=2).json()["next_cursor"]
    service.load("BTC", "1h", bars(5))
    answer = service.get(PRICES, frequency="1h", cursor=cursor)
    assert (answer.status_code, answer.json()["code"]) == (410, "version-gone")
    answer = service.get(PRICES, frequency="1h", cursor=cursor, known="*")
    assert (answer.status_code, answer.json()["code"]) == (410, "version-gone")


@pytest.mark.parametrize(
    ("query", "pointer"),
    [
        ({}, "/frequency"),
        ({"frequency": "1m"}, "/frequency"),
        ({"frequency": "1h", "limit": 0}, "/limit"),
        ({"frequency": "1h", "limit": 10_001}, "/limit"),
        ({"frequency": "1h", "format": "xml"}, "/format"),
        ({"frequency": "1h", "start": "2025-06-10T00:00:00"}, "/start"),
        ({"frequency": "1h", "start": "2025-06-11", "end": "2025-06-10"}, "/end"),
        ({"frequency": "1h", "start": "2025-06-10", "end": "2025-06-10"}, "/end"),
        ({"frequency": "1h", "as_of": "2025-06-10T00:00"}, "/as_of"),
        ({"frequency": "1h", "limit": 10**30}, "/limit"),
        ({"frequency": "1h", "start": "-271821-04-20"}, "/start"),
        ({"frequency": "1h", "end": "9999-12-31"}, "/end"),
        ({"frequency": "1h", "cursor": "x" * 1001}, "/cursor"),
    ],
)
def test_r6_absurd_input_is_refused_before_anybody_is_asked(
    service: Service, query: dict[str, Any], pointer: str
) -> None:
    entitlements.app.state.refusal = entitlements.REFUSAL
    for path in (PRICES, "/v1/datasets/DOGE/prices"):
        answer = service.get(path, **query)
        assert (answer.status_code, answer.json()["code"]) == (422, "invalid-input")
        assert [error["pointer"] for error in answer.json()["errors"]] == [pointer]
    assert entitlements.app.state.asked == service.statements == []


@pytest.mark.parametrize(
    ("path", "frequency", "status", "code"),
    [
        ("/v1/datasets/DOGE/prices", "1h", 404, "dataset-not-found"),
        ("/v1/datasets/btc/prices", "1h", 404, "dataset-not-found"),
        ("/v1/datasets/%00/prices", "1h", 404, "dataset-not-found"),
        ("/v1/datasets/ETH/prices", "1h", 410, "retired"),
        ("/v1/datasets/ETH/prices", "1mo", 422, "frequency-not-offered"),
    ],
)
def test_what_is_not_offered_is_said_before_access_is_asked_for(
    service: Service, path: str, frequency: str, status: int, code: str
) -> None:
    entitlements.app.state.refusal = entitlements.REFUSAL
    answer = service.get(path, frequency=frequency)
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert entitlements.app.state.asked == []


@pytest.mark.parametrize("format_", ["json", "csv"])
def test_a_denied_read_passes_the_refusal_through(service: Service, format_: str) -> None:
    service.load("BTC", "1h", [Bar(T0, Decimal("123.456"))])
    entitlements.app.state.refusal = entitlements.REFUSAL
    answer = service.get(PRICES, frequency="1h", format=format_)
    assert answer.headers["content-type"] == "application/problem+json"
    body = answer.json()
    assert answer.status_code == body["status"] == 403
    assert (body["code"], body["type"]) == ("never-requested", "urn:tickgate:problem:never-requested")
    assert body["detail"] == entitlements.REFUSAL["detail"]
    assert body["remedy"] == {"method": "POST", "href": "/v1/access-requests", "body": {}}
    assert "123.456" not in answer.text


@pytest.mark.parametrize("format_", ["json", "csv"])
def test_a_read_in_grace_says_up_to_when(service: Service, format_: str) -> None:
    assert "entitlement-grace-until" not in service.get(PRICES, frequency="1d", format=format_).headers
    entitlements.app.state.grace_until = "2026-05-17T12:00:00Z"
    answer = service.get(PRICES, frequency="1h", format=format_)
    assert answer.headers["entitlement-grace-until"] == "2026-05-17T12:00:00Z"


def test_the_document_says_what_tells_of_a_grace(service: Service) -> None:
    document = service.get("/openapi.json", role="ops").json()
    answer = document["paths"]["/v1/datasets/{symbol}/prices"]["get"]["responses"]["200"]
    assert answer["headers"]["Entitlement-Grace-Until"]["schema"]["format"] == "date-time"


def test_a_cursor_does_not_outlive_access(service: Service) -> None:
    service.load("BTC", "1h", bars(5))
    following = service.get(PRICES, frequency="1h", limit=2).links["next"]["url"]
    entitlements.app.state.refusal = entitlements.REFUSAL
    assert service.get(following).status_code == 403


@pytest.mark.parametrize("status", [404, 422, 500])
def test_no_answer_about_access_is_no_access(service: Service, status: int) -> None:
    entitlements.app.state.status = status
    answer = service.get(PRICES, frequency="1h")
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")


def test_no_connection_is_held_while_a_chunk_is_sent(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    held: list[int] = []
    check = Reading.check_again

    async def look(reading: Reading) -> None:
        with service.database.transaction() as session:
            others = """select count(*) from pg_stat_activity
                where state like 'idle in tr%' and usename = current_user and datname = current_database()"""
            held.append(int(session.execute(text(others)).scalar_one()))
        await check(reading)

    monkeypatch.setattr(controller, "CHUNK", 10)
    monkeypatch.setattr(controller, "CHECK_SECONDS", 0)
    monkeypatch.setattr(Reading, "check_again", look)
    service.load("BTC", "1h", bars(50))
    service.get(PRICES, frequency="1h", format="csv")
    assert held == [0] * len(held)
    assert len(held) >= 5


def test_coverage_is_open_to_everyone(service: Service) -> None:
    service.load("BTC", "1h", [*bars(2), *bars(1, start=T0 + 5 * HOUR)])
    answer = service.get("/v1/datasets/BTC/coverage", role="anonymous")
    assert answer.json()["dataset"] == "BTC"
    hours, days, months = answer.json()["data"]
    assert hours.pop("updated_at").endswith("Z")
    assert hours == {
        "frequency": "1h",
        "first": "2025-06-10T00:00:00Z",
        "last": "2025-06-10T05:00:00Z",
        "rows": 3,
        "gaps": [{"start": "2025-06-10T02:00:00Z", "end": "2025-06-10T05:00:00Z", "missing": 3}],
        "source": "coincap",
    }
    assert (days["frequency"], days["rows"], days["updated_at"]) == ("1d", 0, None)
    assert months["frequency"] == "1mo"
    assert service.get("/v1/datasets/DOGE/coverage", role="anonymous").json()["code"] == "dataset-not-found"
    assert entitlements.app.state.asked == []


def test_a_batch_and_a_read_at_once_do_not_wait_for_each_other(service: Service) -> None:
    service.load("BTC", "1h", bars(3))
    with service.database.transaction() as session:
        PriceService(session, DatabaseClock()).load("BTC", "1h", "coincap", bars(3, price="1.0"))
        assert service.get(PRICES, frequency="1h").json()["data"][0]["price_usd"] == "100.50"
    assert service.get(PRICES, frequency="1h").json()["data"][0]["price_usd"] == "1.0"
