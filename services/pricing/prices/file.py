"""A CSV file as a source of prices: every row exact, in order and on the grid, or none."""

import csv
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import NamedTuple

from pydantic import TypeAdapter, ValidationError

from services.pricing.prices.errors import ImportRefused
from shared.wire import Instant

TIMES = ("timestamp", "time", "date")
PRICES = ("price_usd", "price", "close", "open")
PRICE = re.compile(r"(0|[1-9][0-9]{0,39})(\.[0-9]{1,60})?")
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
instant = TypeAdapter[datetime](Instant)


class Row(NamedTuple):
    """A `Sample` of a file."""

    timestamp: datetime
    price: Decimal


@dataclass(frozen=True)
class Columns:
    """Where in a row the time and the price stand, and how wide a row is."""

    time: int
    price: int
    width: int


def read_rows(lines: Iterable[str], *, period: timedelta, now: datetime, column: str | None = None) -> Iterator[Row]:
    """The rows of a CSV with a header; raises ImportRefused, naming the line.

    The time stands in `timestamp`, `time` or `date`; the price in `column` or the first there is of `price_usd`,
    `price`, `close`, `open`. Times ascend, each once, and lie on the grid of `period` and not after `now`.
    """
    rows = csv.reader(lines, strict=True)
    last: datetime | None = None
    try:
        columns = _columns(next(rows, []), column)
        for row in rows:
            if row:
                found = _row(row, columns, period=period)
                require_order(found.timestamp, last, now)
                last = found.timestamp
                yield found
    except (ImportRefused, csv.Error) as error:
        raise ImportRefused(f"line {max(rows.line_num, 1)}: {error}") from None
    except UnicodeDecodeError:
        raise ImportRefused(f"after line {rows.line_num}: not UTF-8") from None
    if last is None:
        raise ImportRefused("the file has no rows")


def _columns(header: list[str], column: str | None) -> Columns:
    names = [name.strip().lower() for name in header]
    wanted = (column.strip().lower(),) if column else PRICES
    return Columns(find_column(names, TIMES), find_column(names, wanted), len(names))


def find_column(names: list[str], wanted: tuple[str, ...]) -> int:
    """Where the first of the wanted names stands, of those that stand there once; raises ImportRefused."""
    for name in wanted:
        if names.count(name) == 1:
            return names.index(name)
    raise ImportRefused(f"the header has no column {' or '.join(wanted)}")


def _row(row: list[str], columns: Columns, *, period: timedelta) -> Row:
    if len(row) != columns.width:
        raise ImportRefused(f"{len(row)} fields, but the header has {columns.width}")
    try:
        timestamp = instant.validate_python(row[columns.time])
    except ValidationError:
        raise ImportRefused("the time is not a date (2026-01-31) or a datetime with zone") from None
    require_on_grid(timestamp, period)
    return Row(timestamp, price_of(row[columns.price]))


def price_of(text: str) -> Decimal:
    """The price, exactly; raises ImportRefused."""
    if not PRICE.fullmatch(text) or not text.strip("0."):
        raise ImportRefused("the price is not a plain decimal number above zero")
    return Decimal(text)


def require_on_grid(at: datetime, period: timedelta) -> None:
    """Raises ImportRefused where no bar of this period starts."""
    if (at - EPOCH) % period:
        raise ImportRefused("the time is not the start of a bar of this frequency (UTC)")


def require_order(at: datetime, last: datetime | None, now: datetime) -> None:
    """Raises ImportRefused for a time to come, and for one that does not follow the last."""
    if at > now:
        raise ImportRefused("the time is in the future")
    if last is not None and at == last:
        raise ImportRefused("the same time twice")
    if last is not None and at < last:
        raise ImportRefused("earlier than the line before; sort the file by time")
