"""Tables: every format holds the source's numbers, has its columns when empty, and is whole or visibly not."""

import csv
import io
import json
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import httpx
import pyarrow as pa
import pytest
from pyarrow import ipc, parquet

from services.pricing.feeds.sample import SampleSource
from services.pricing.prices import controller
from services.pricing.prices.file import read_rows
from services.pricing.prices.schemas import Sample
from tests.services.pricing import entitlements
from tests.services.pricing.conftest import DAY, HOUR, T0, Bar, Service, bars

PRICES = "/v1/datasets/BTC/prices"
NOW = datetime(2026, 1, 1, tzinfo=UTC)
Row = tuple[datetime, Decimal, bool]


def table(answer: httpx.Response, format_: str) -> pa.Table:
    source = io.BytesIO(answer.content)
    return ipc.open_stream(source).read_all() if format_ == "arrow" else parquet.read_table(source)


def rows(service: Service, format_: str, frequency: str, dataset: str = "BTC") -> list[Row]:
    """The whole range, as a reader of that format has it."""
    path = f"/v1/datasets/{dataset}/prices?frequency={frequency}&format={format_}"
    found: list[tuple[str, str, bool]] = []
    answer = service.get(f"{path}&limit=10000" if format_ == "json" else path)
    assert answer.status_code == 200, answer.text
    if format_ in ("arrow", "parquet"):
        columns = table(answer, format_).select(["timestamp", "price_usd", "final"]).to_pylist()
        return [(row["timestamp"], row["price_usd"], row["final"]) for row in columns]
    if format_ == "csv":
        lines = csv.DictReader(answer.text.splitlines())
        found = [(row["timestamp"], row["price_usd"], row["final"] == "true") for row in lines]
    while format_ == "json":
        found += [(row["timestamp"], row["price_usd"], row["final"]) for row in answer.json()["data"]]
        if "next" not in answer.links:
            break
        answer = service.get(answer.links["next"]["url"])
    return [(datetime.fromisoformat(at), Decimal(price), final) for at, price, final in found]


def assert_served(service: Service, frequency: str, samples: Sequence[Sample], dataset: str = "BTC") -> None:
    texts = [(sample.timestamp, str(sample.price)) for sample in samples]
    for format_ in ("json", "csv", "arrow", "parquet"):
        found = rows(service, format_, frequency, dataset)
        assert [(at, price) for at, price, _ in found] == [(s.timestamp, s.price) for s in samples], format_
        if format_ in ("json", "csv"):  # digit for digit, zeros at the end too
            assert [(at, str(price)) for at, price, _ in found] == texts


@pytest.mark.parametrize(
    ("dataset", "frequency", "name", "column"),
    [
        ("BTC", "1h", "btc_usd_1h_2017-2019.csv", "open"),
        ("BTC", "1d", "btc_usd_1d_2014-2020.csv", "close"),
        ("ETH", "1d", "eth_usd_1d_2016-2020.csv", "close"),
    ],
)
def test_real_history_is_served_digit_for_digit_in_every_format(
    service: Service, history: Path, dataset: str, frequency: str, name: str, column: str
) -> None:
    with (history / name).open(newline="") as lines:
        samples = list(read_rows(lines, period=HOUR if frequency == "1h" else DAY, now=NOW, column=column))
    service.load(dataset, frequency, [Bar(row.timestamp, row.price) for row in samples], source="imported")
    assert_served(service, frequency, samples, dataset)


def test_the_sample_is_served_digit_for_digit_in_every_format(service: Service) -> None:
    source = SampleSource(now=lambda: NOW)
    samples = source.history("bitcoin", "1h", start=NOW - timedelta(days=100), end=NOW).samples
    service.load("BTC", "1h", [Bar(sample.timestamp, sample.price) for sample in samples], source="sample")
    assert_served(service, "1h", samples)


@pytest.mark.parametrize(
    "price", ["109587.7240219355226081", "0.000000000000000001", "99999999999999999999.999999999999999999", "1"]
)
def test_columnar_numbers_are_exact(service: Service, price: str) -> None:
    service.load("BTC", "1h", [Bar(T0, Decimal(price))])
    assert_served(service, "1h", [Bar(T0, Decimal(price))])


@pytest.mark.parametrize("price", ["0.0000000000000000001", "100000000000000000000", "9" * 40])
def test_digits_that_a_format_cannot_hold_are_refused_not_rounded(service: Service, price: str) -> None:
    service.load("BTC", "1h", [Bar(T0, Decimal(price))])
    for format_ in ("arrow", "parquet"):
        answer = service.get(PRICES, frequency="1h", format=format_)
        assert (answer.status_code, answer.json()["code"]) == (409, "digits-do-not-fit")
    assert service.get(PRICES, frequency="1h", format="csv").text.splitlines()[1].split(",")[1] == price


@pytest.mark.parametrize("format_", ["arrow", "parquet"])
@pytest.mark.parametrize("chunk", [7, 50_000])
def test_a_schema_says_what_it_is_of(
    service: Service, format_: str, chunk: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(controller, "CHUNK", chunk)
    service.load("BTC", "1d", bars(500, step=DAY))
    answer = service.get(PRICES, frequency="1mo", format=format_)
    assert answer.headers["content-disposition"] == f'attachment; filename="BTC_USD_1mo.{format_}"'
    assert "link" not in answer.headers
    found = table(answer, format_)
    names = ["timestamp", "price_usd", "final", "open_usd", "high_usd", "low_usd", "mean_usd", "samples"]
    decimal, instant = pa.decimal128(38, 18), pa.timestamp("us", tz="UTC")
    assert found.schema.names == names
    assert found.schema.types == [instant, decimal, pa.bool_(), *[decimal] * 4, pa.int32()]
    about = {name.decode(): value.decode() for name, value in found.schema.metadata.items() if name != b"ARROW:schema"}
    assert about == {
        "dataset": "BTC",
        "frequency": "1mo",
        "currency": "USD",
        "source": "coincap",
        "series_version": "1",
    }
    listed = service.get(PRICES, frequency="1mo").json()["data"]
    shown = [
        {name: f"{value:.18f}" if isinstance(value, Decimal) else value for name, value in row.items()}
        for row in found.to_pylist()
    ]
    for row, expected in zip(shown, listed, strict=True):
        assert row.pop("timestamp") == datetime.fromisoformat(expected.pop("timestamp"))
        assert row == {name: f"{Decimal(v):.18f}" if isinstance(v, str) else v for name, v in expected.items()}


@pytest.mark.parametrize("frequency", ["1h", "1mo"])
def test_an_empty_table_has_its_columns(service: Service, frequency: str) -> None:
    service.load("BTC", "1h", bars(1))
    service.load("BTC", "1d", bars(1))
    for format_ in ("arrow", "parquet"):
        full = table(service.get(PRICES, frequency=frequency, format=format_), format_)
        empty = table(service.get(PRICES, frequency=frequency, format=format_, end="2020-01-01"), format_)
        assert (full.num_rows, empty.num_rows) == (1, 0)
        assert empty.schema == full.schema
    header = service.get(PRICES, frequency=frequency, format="csv", end="2020-01-01").text
    assert header.strip().split(",") == full.schema.names


def test_tables_in_pages(service: Service) -> None:
    service.load("BTC", "1h", bars(5))
    first = service.get(PRICES, frequency="1h", accept="application/vnd.apache.arrow.stream", limit=3)
    rest = service.get(first.links["next"]["url"], accept="application/vnd.apache.parquet")
    found = pa.concat_tables([table(first, "arrow"), table(rest, "parquet")])
    assert found.column("price_usd").to_pylist() == [bar.price for bar in bars(5)]


@pytest.mark.parametrize("format_", ["csv", "arrow", "parquet"])
def test_r3_a_stream_is_cut_off_when_access_ends(
    service: Service, format_: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(controller, "CHUNK", 10)
    monkeypatch.setattr(controller, "CHECK_SECONDS", 0)
    service.load("BTC", "1h", bars(100))
    assert len(rows(service, format_, "1h")) == 100
    entitlements.reset()
    entitlements.app.state.refusal, entitlements.app.state.yeses = entitlements.REFUSAL, 3
    with service.stream(PRICES, frequency="1h", format=format_) as answer:
        assert answer.status_code == 200
        with pytest.raises(httpx.RemoteProtocolError, match="peer closed connection"):
            answer.read()
    assert len(entitlements.app.state.asked) == 4


def test_r3_access_that_ends_within_a_hundred_pages_ends_the_read(service: Service) -> None:
    service.load("BTC", "1h", bars(200))
    answer, pages = service.get(PRICES, frequency="1h", limit=2), 1
    while answer.status_code == 200:
        if pages == 50:
            entitlements.app.state.refusal = entitlements.REFUSAL
        answer, pages = service.get(answer.links["next"]["url"]), pages + 1
    assert (pages, answer.status_code, answer.json()["code"]) == (51, 403, "never-requested")


def test_a_fault_on_the_way_cuts_the_stream_off(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(controller, "CHUNK", 10)
    service.load("BTC", "1h", [*bars(50), Bar(T0 + 50 * HOUR, Decimal("1e-19"))])
    for format_ in ("arrow", "parquet"):
        with pytest.raises(httpx.RemoteProtocolError, match="peer closed connection"):
            service.get(PRICES, frequency="1h", format=format_)
    assert len(rows(service, "csv", "1h")) == 51


def test_r7_nothing_that_anybody_named_is_in_a_table(service: Service, settings: object) -> None:
    """The catalog's names may be anything; symbols may not, and no other path leads to a price."""
    service.load("BTC", "1h", bars(2))
    for symbol in ("=1+1", "@SUM(A1)", "BTC%22%0d%0aX: 1", "+cmd", "-2", "BTC,x", "btc"):
        answer = service.get(f"/v1/datasets/{symbol}/prices", frequency="1h", format="csv")
        assert (answer.status_code, answer.json()["code"]) == (404, "dataset-not-found")
        assert "content-disposition" not in answer.headers
    lines = service.get(PRICES, frequency="1h", format="csv").text.splitlines()
    assert all(field[0].isalnum() for line in lines for field in line.split(","))


def test_an_answer_not_modified_is_said_in_every_format_and_to_nobody_without_access(service: Service) -> None:
    service.load("BTC", "1h", bars(20))
    tags = {}
    for format_ in ("json", "csv", "arrow", "parquet"):
        answer = service.get(PRICES, frequency="1h", format=format_)
        tags[format_] = answer.headers["etag"]
        assert (answer.headers["cache-control"], answer.headers["vary"][:6]) == ("private, no-cache", "Accept")
        service.statements.clear()
        again = service.get(PRICES, frequency="1h", format=format_, known=tags[format_])
        assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", tags[format_])
        assert len(service.statements) == 1
        assert again.headers["cache-control"] == "private, no-cache"
    assert len(set(tags.values())) == 4
    assert service.get(PRICES, frequency="1h", format="csv", known=tags["json"]).status_code == 200
    lines = [("If-None-Match", tag) for tag in tags.values()] + [("Accept", kind) for kind in ("text/html", "text/csv")]
    headers = [*service._headers("quant", None).items(), *lines]
    assert service.client.get(f"{PRICES}?frequency=1h", headers=headers).status_code == 304  # each in a line of its own
    entitlements.app.state.refusal = entitlements.REFUSAL
    for known in (tags["json"], "*"):
        denied = service.get(PRICES, frequency="1h", known=known)
        assert (denied.status_code, denied.json()["code"]) == (403, "never-requested")
        assert "etag" not in denied.headers
    entitlements.reset()
    service.load("BTC", "1h", bars(20, price="1.00"))
    changed = service.get(PRICES, frequency="1h", known=tags["json"])
    assert (changed.status_code, changed.json()["data"][0]["price_usd"]) == (200, "1.00")


def test_a_later_page_keeps_its_tag(service: Service) -> None:
    service.load("BTC", "1h", bars(20))
    following = service.get(PRICES, frequency="1h", limit=5).links["next"]["url"]
    page = service.get(following)
    service.load("BTC", "1h", bars(20, price="1.00"))
    assert service.get(following, known=page.headers["etag"]).status_code == 304
    assert service.get(following).content == page.content
    assert json.loads(page.content)["data"][0]["price_usd"] == "105.50"
