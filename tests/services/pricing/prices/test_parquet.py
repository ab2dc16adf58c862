"""Parquet files: exact columns only, the same rules as a CSV, and the row that is wrong."""

from collections.abc import Iterable
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from services.pricing.prices.errors import ImportRefused
from services.pricing.prices.imports import import_prices
from services.pricing.prices.parquet import read_parquet
from services.pricing.settings import PricingSettings
from shared.database import Database
from tests.services.pricing.conftest import DAY, HOUR, T0

NOW = datetime(2026, 1, 1, tzinfo=UTC)
INSTANT = pa.timestamp("us", tz="UTC")
EXACT = pa.decimal128(38, 18)


def file(folder: Path, times: Iterable[Any], prices: Iterable[Any], *, at: Any = INSTANT, price: Any = EXACT) -> Path:
    path = folder / "prices.parquet"
    columns = {"Timestamp": pa.array(list(times), at), "close": pa.array(list(prices), price)}
    pq.write_table(pa.table(columns), path)
    return path


def read(path: Path, column: str | None = None) -> list[tuple[datetime, str]]:
    rows = read_parquet(path, period=HOUR, now=NOW, column=column)
    return [(row.timestamp, format(row.price, "f")) for row in rows]


def test_decimals_and_texts_arrive_exactly(tmp_path: Path) -> None:
    price = "109587.724021935522608100"
    assert read(file(tmp_path, [T0], [Decimal(price)])) == [(T0, price)]
    assert read(file(tmp_path, [T0], ["0.50"], price=pa.string())) == [(T0, "0.50")]
    assert read(file(tmp_path, [T0.date()], ["0.50"], at=pa.date32(), price=pa.large_string())) == [(T0, "0.50")]
    berlin = pa.timestamp("s", tz="Europe/Berlin")
    assert read(file(tmp_path, [T0], [Decimal(1)], at=berlin), "CLOSE")[0][0] == T0


@pytest.mark.parametrize(
    ("times", "prices", "types", "complaint"),
    [
        ([T0], [1.5], {"price": pa.float64()}, "the column close is double; prices are decimals or texts"),
        ([T0.replace(tzinfo=None)], [1], {"at": pa.timestamp("us")}, "not a timestamp with a zone or a date"),
        ([T0, T0], [1, 1], {}, "row 2: the same time twice"),
        ([T0 + HOUR, T0], [1, 1], {}, "row 2: earlier than the line before"),
        ([T0 + HOUR / 2], [1], {}, "row 1: the time is not the start of a bar"),
        ([NOW + HOUR], [1], {}, "row 1: the time is in the future"),
        ([T0], [0], {}, "row 1: the price is not a plain decimal number above zero"),
        ([T0], [-1], {}, "row 1: the price is not"),
        ([T0], [None], {}, "row 1: the price is not"),
        ([None], [1], {}, "row 1: the time is missing"),
        ([], [], {}, "the file has no rows"),
    ],
)
def test_what_is_wrong_is_named(
    tmp_path: Path, times: list[Any], prices: list[Any], types: dict[str, Any], complaint: str
) -> None:
    with pytest.raises(ImportRefused, match=complaint):
        read(file(tmp_path, times, prices, **types))


def test_a_column_that_is_not_there_and_a_file_that_is_none(tmp_path: Path) -> None:
    with pytest.raises(ImportRefused, match="no column vwap"):
        read(file(tmp_path, [T0], [Decimal(1)]), "vwap")
    path = tmp_path / "broken.parquet"
    path.write_bytes(b"PAR1 and nothing more")
    with pytest.raises(ImportRefused, match="not a Parquet file"):
        read(path)


def test_a_file_of_which_a_page_is_damaged_is_refused(tmp_path: Path) -> None:
    path = file(tmp_path, [T0 + n * DAY for n in range(3000)], [Decimal(n + 1) for n in range(3000)])
    body = bytearray(path.read_bytes())
    body[4:2000] = bytes(1996)  # the footer still says what there is
    path.write_bytes(body)
    with pytest.raises(ImportRefused, match="damaged"):
        read(path)


def test_a_file_is_imported_by_what_it_is_not_by_its_name(
    settings: PricingSettings, database: Database, tmp_path: Path
) -> None:
    days = [T0 + n * DAY for n in range(3)]
    path = file(tmp_path, days, [Decimal(n + 1) for n in range(3)]).rename(tmp_path / "prices.csv")
    counts = import_prices(settings, path, dataset="BTC", frequency="1d")
    assert counts == {"inserted": 3, "revised": 0, "unchanged": 0}
    with database.transaction() as session:
        stored = session.connection().exec_driver_sql("select price_usd::text from pricing.prices order by timestamp")
        assert stored.scalars().all() == ["1.000000000000000000", "2.000000000000000000", "3.000000000000000000"]
