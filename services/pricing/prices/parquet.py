"""A Parquet file as a source of prices: exact decimals or texts, never floats; every row in order and on the grid."""

from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from services.pricing.prices.errors import ImportRefused
from services.pricing.prices.file import PRICES, TIMES, Row, find_column, price_of, require_on_grid, require_order

BATCH = 50_000


def read_parquet(path: Path, *, period: timedelta, now: datetime, column: str | None = None) -> Iterator[Row]:
    """The rows of a Parquet file; raises ImportRefused, naming the row.

    The columns are found as in a CSV. The time is a timestamp with a zone or a date; the price a decimal, or a text
    as in a CSV: a float is refused, because its digits are not the source's.
    """
    try:
        file = pq.ParquetFile(path)
    except (pa.ArrowException, OSError):
        raise ImportRefused("not a Parquet file") from None
    with file:
        at, price = _columns(file.schema_arrow, column)
        last, number = None, 0
        for batch in _batches(file, [at, price]):
            for moment, value in zip(batch.column(at).to_pylist(), batch.column(price).to_pylist(), strict=True):
                number += 1
                try:
                    row = Row(_instant(moment), price_of(_text(value)))
                    require_on_grid(row.timestamp, period)
                    require_order(row.timestamp, last, now)
                except ImportRefused as error:
                    raise ImportRefused(f"row {number}: {error}") from None
                last = row.timestamp
                yield row
    if last is None:
        raise ImportRefused("the file has no rows")


def _batches(file: pq.ParquetFile, columns: list[str]) -> Iterator[pa.RecordBatch]:
    """Raises ImportRefused where a page is broken: a footer may be sound and the rest not."""
    try:
        yield from file.iter_batches(BATCH, columns=columns)
    except (pa.ArrowException, OSError):
        raise ImportRefused("the Parquet file is damaged") from None


def _columns(schema: pa.Schema, column: str | None) -> tuple[str, str]:
    names = [name.strip().lower() for name in schema.names]
    wanted = (column.strip().lower(),) if column else PRICES
    at, price = schema.field(find_column(names, TIMES)), schema.field(find_column(names, wanted))
    if not (pa.types.is_date(at.type) or (pa.types.is_timestamp(at.type) and at.type.tz)):
        raise ImportRefused(f"the column {at.name} is {at.type}, not a timestamp with a zone or a date")
    if not (pa.types.is_decimal(price.type) or pa.types.is_string(price.type) or pa.types.is_large_string(price.type)):
        raise ImportRefused(f"the column {price.name} is {price.type}; prices are decimals or texts, to be exact")
    return at.name, price.name


def _instant(moment: Any) -> datetime:
    if isinstance(moment, datetime):
        return moment.astimezone(UTC)
    if isinstance(moment, date):
        return datetime.combine(moment, time(), UTC)
    raise ImportRefused("the time is missing")


def _text(value: Any) -> str:
    return format(value, "f") if isinstance(value, Decimal) else str(value)
