"""CSV files: which columns, which rows, and the line that is wrong."""

from datetime import UTC, datetime

import pytest

from services.pricing.prices.errors import ImportRefused
from services.pricing.prices.file import read_rows
from tests.services.pricing.conftest import DAY, HOUR

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def read(*lines: str, column: str | None = None) -> list[tuple[str, str]]:
    rows = read_rows([f"{line}\n" for line in lines], period=HOUR, now=NOW, column=column)
    return [(row.timestamp.isoformat(), format(row.price, "f")) for row in rows]


@pytest.mark.parametrize(
    ("header", "row", "column", "price"),
    [
        ("timestamp,price_usd,price,close,open", "2025-06-10,1.0,2.0,3.0,4.0", None, "1.0"),
        ("time,price,close,open", "2025-06-10,2.0,3.0,4.0", None, "2.0"),
        ("date,open,high,low,close", "2025-06-10,1.0,2.0,3.0,4.0", None, "4.0"),
        ("date,open", "2025-06-10,1.0", None, "1.0"),
        ("date,open,close", "2025-06-10,1.0,4.0", "open", "1.0"),
        (" Date , Close ", "2025-06-10,4.0", None, "4.0"),
        ("vwap,date", "12.50,2025-06-10T00:00:00Z", "vwap", "12.50"),
    ],
)
def test_the_columns(header: str, row: str, column: str | None, price: str) -> None:
    assert read(header, row, column=column) == [("2025-06-10T00:00:00+00:00", price)]


def test_blank_lines_and_other_zones() -> None:
    assert read("time,price", "2025-06-10T02:00:00+02:00,1", "", "2025-06-10T01:00:00Z,2") == [
        ("2025-06-10T00:00:00+00:00", "1"),
        ("2025-06-10T01:00:00+00:00", "2"),
    ]


GOOD = "2025-06-10T01:00:00Z,1.0"


@pytest.mark.parametrize(
    ("lines", "complaint"),
    [
        ([], "line 1: the header has no column timestamp or time or date"),
        (["time,volume"], "line 1: the header has no column price_usd or"),
        (["time,time,price"], "line 1: the header has no column timestamp"),
        (["time,price"], "the file has no rows"),
        (["time,price", GOOD, "2025-06-10T02:00:00Z"], "line 3: 1 fields, but the header has 2"),
        (["time,price", GOOD, "10.06.2025,1.0"], "line 3: the time is not a date"),
        (["time,price", GOOD, "2025-06-10T02:00:00,1.0"], "line 3: the time is not a date"),
        (["time,price", GOOD, "1749531600,1.0"], "line 3: the time is not a date"),
        (["time,price", GOOD, "2025-06-10T02:30:00Z,1.0"], "line 3: the time is not the start of a bar"),
        (["time,price", GOOD, GOOD], "line 3: the same time twice"),
        (["time,price", GOOD, "2025-06-10T00:00:00Z,1.0"], "line 3: earlier than the line before"),
        (["time,price", GOOD, "2026-01-01T01:00:00Z,1.0"], "line 3: the time is in the future"),
        (["time,price", GOOD, '2025-06-10T02:00:00Z,"1.0'], "line 3: unexpected end of data"),
    ],
)
def test_the_line_that_is_wrong_is_named(lines: list[str], complaint: str) -> None:
    with pytest.raises(ImportRefused, match=complaint):
        read(*lines)


@pytest.mark.parametrize(
    "price",
    ["", "0", "0.00", "-1", "+1", "1e3", "1E-7", "NaN", "inf", "1,5", "1.", ".5", "007", " 1", "\u0661", "9" * 41],
)
def test_a_price_is_a_plain_decimal_number_above_zero(price: str) -> None:
    with pytest.raises(ImportRefused, match="line 3: the price is not a plain decimal number above zero"):
        read("time,price", GOOD, f'2025-06-10T02:00:00Z,"{price}"')


def test_days_lie_on_the_grid_of_days() -> None:
    with pytest.raises(ImportRefused, match="line 2: the time is not the start of a bar"):
        list(read_rows(["date,price\n", GOOD + "\n"], period=DAY, now=NOW))
