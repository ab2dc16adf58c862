"""Imports prices from a file, all of it or nothing: what `tickgate import prices` does."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from datetime import datetime, timedelta
from itertools import islice
from pathlib import Path

from services.pricing.access.catalog import open_catalog
from services.pricing.prices.errors import ImportRefused, SeriesHasOtherSource
from services.pricing.prices.file import Row, read_rows
from services.pricing.prices.parquet import read_parquet
from services.pricing.prices.policy import PERIODS, stored_frequencies
from services.pricing.prices.schemas import Counts
from services.pricing.prices.service import PriceService
from services.pricing.settings import PricingSettings
from shared.clock import DatabaseClock
from shared.database import Database

BATCH = 100_000
IMPORTED = "imported"
PARQUET = b"PAR1"


def import_prices(
    settings: PricingSettings,
    path: Path,
    *,
    dataset: str,
    frequency: str,
    replace: bool = False,
    column: str | None = None,
    progress: Callable[[int], None] | None = None,
) -> Counts:
    """Import a CSV or Parquet file in one transaction and count it as `load` does; raises ImportRefused.

    `progress` is told how many rows are done. A series of another source is refused, unless `replace` drops it.
    """
    _require_offered(settings, dataset, frequency)
    clock = DatabaseClock()
    with (
        path.open(newline="", encoding="utf-8-sig") as lines,
        closing(Database(settings.database, pool_size=1)) as database,
        database.transaction() as session,
    ):
        now = clock.now(session)
        rows = _rows(path, lines, PERIODS[frequency], now, column)
        loading = _load(PriceService(session, clock), dataset, frequency, rows, replace=replace)
        return _summed(loading, progress)


def _rows(path: Path, lines: Iterable[str], period: timedelta, now: datetime, column: str | None) -> Iterator[Row]:
    """By the file's first bytes: every Parquet file says what it is."""
    with path.open("rb") as file:
        is_parquet = file.read(len(PARQUET)) == PARQUET
    if is_parquet:
        return read_parquet(path, period=period, now=now, column=column)
    return read_rows(lines, period=period, now=now, column=column)


def _require_offered(settings: PricingSettings, dataset: str, frequency: str) -> None:
    if frequency == "1mo":
        raise ImportRefused("1mo is computed; import 1d")
    with open_catalog(settings) as catalog:
        offered = catalog.dataset(dataset)
    if offered is None:
        raise ImportRefused(f"there is no dataset {dataset}")
    if frequency not in stored_frequencies(offered.frequencies):
        raise ImportRefused(f"{dataset} is not offered at {frequency}, only at {', '.join(offered.frequencies)}")


def _load(
    prices: PriceService, dataset: str, frequency: str, rows: Iterator[Row], *, replace: bool
) -> Iterator[Counts]:
    while batch := list(islice(rows, BATCH)):
        try:
            yield prices.load(dataset, frequency, IMPORTED, batch, replace=replace)
        except SeriesHasOtherSource as error:
            raise ImportRefused(f"{error}; --replace drops what is there first") from None
        replace = False


def _summed(batches: Iterable[Counts], progress: Callable[[int], None] | None) -> Counts:
    total: Counter[str] = Counter()
    for counts in batches:
        total.update(counts)
        if progress is not None:
            progress(total.total())
    return dict(total)
