"""Reads and writes the rows of the prices."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import delete, func, select, text, union_all, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session
from sqlmodel import col

from services.pricing.prices import statements
from services.pricing.prices.entities import Price, PriceGap, PriceRevision, Series
from services.pricing.prices.schemas import Known, Sample, Text, Window

STORED = {"1mo": "1d"}
PERIODS = {"1h": "1 hour", "1d": "1 day", "1mo": "1 month"}
LATEST_VERSION = 2**31 - 1


class PriceRepository:
    """The series and their prices in one transaction."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def allow_long_work(self) -> None:
        """A batch takes longer than the two seconds that an answer may take, and waits for another batch."""
        limits = (func.set_config(f"{name}_timeout", "60s", True) for name in ("statement", "lock"))
        self._session.execute(select(*limits))

    def find_series(self, dataset: str, frequency: str) -> Series | None:
        """The series, if anything was ever stored of it."""
        return self._session.get(Series, (dataset, STORED.get(frequency, frequency)), populate_existing=True)

    def lock_series(self, dataset: str, frequency: str, *, source: str, now: datetime) -> Series:
        """The series, made when there is none, held until the transaction ends: one batch after another."""
        new = {"dataset": dataset, "frequency": frequency, "source": source, "updated_at": now}
        self._session.execute(insert(Series).values(**new, version=0, first_version=1).on_conflict_do_nothing())
        held = select(Series).where(col(Series.dataset) == dataset, col(Series.frequency) == frequency)
        return self._session.scalars(held.with_for_update().execution_options(populate_existing=True)).one()

    def change_series(
        self, dataset: str, frequency: str, *, source: str, now: datetime, version: int, anew: bool
    ) -> None:
        """Note that what can be read of the series has changed; `anew`: that nothing before can be told any more."""
        values = {"source": source, "version": version, "updated_at": now} | (
            {"first_version": version, "replaced_at": now} if anew else {}
        )
        which = (col(Series.dataset) == dataset, col(Series.frequency) == frequency)
        self._session.execute(update(Series).where(*which).values(values))

    def clear(self, dataset: str, frequency: str) -> None:
        """Delete all prices of a series, and what they once were."""
        for table in (Price, PriceRevision, PriceGap):
            which = (col(table.dataset) == dataset, col(table.frequency) == frequency)
            self._session.execute(delete(table).where(*which))

    def merge(
        self, dataset: str, frequency: str, samples: Sequence[Sample], *, seen_at: datetime, version: int
    ) -> Mapping[str, int]:
        """Store a batch in one statement; counts `inserted`, `revised`, `unchanged`, and `closed` of the last."""
        times = [sample.timestamp for sample in samples]
        first, last = min(times), max(times)
        batch = {
            "first": first,
            "last": last,
            "seconds": ",".join([str(int(time.timestamp())) for time in times]),
            "prices": ",".join([format(sample.price, "f") for sample in samples]),
            "seen_at": seen_at,
            "version": version,
        }
        counts = self._one(statements.MERGE, dataset, frequency, **batch)
        if counts["inserted"]:
            self._keep_gaps(dataset, frequency, first=first, last=last)
        return counts

    def _keep_gaps(self, dataset: str, frequency: str, *, first: datetime, last: datetime) -> None:
        """Note anew what is missing between the bars around [first, last]."""
        around = dict(self._one(statements.AROUND, dataset, frequency, first=first, last=last))
        for statement in (statements.FORGET_GAPS, statements.KEEP_GAPS):
            self._session.execute(text(statement), _parameters(dataset, frequency) | around)

    def last_final(self, dataset: str, frequency: str) -> datetime | None:
        """The start of the last bar that is final."""
        found: datetime | None = self._session.execute(
            text(statements.LAST_FINAL), _parameters(dataset, frequency)
        ).scalar()
        return found

    def first(self, dataset: str, frequency: str) -> datetime | None:
        """The start of the first bar."""
        which = (col(Price.dataset) == dataset, col(Price.frequency) == frequency)
        return self._session.scalars(select(func.min(col(Price.timestamp))).where(*which)).one()

    def known(self, dataset: str, frequency: str, *, start: datetime, end: datetime) -> Known:
        """The prices in [start, end), the last before and the first after."""
        of = (col(Price.dataset) == dataset, col(Price.frequency) == frequency)
        at, price = col(Price.timestamp), col(Price.price_usd)
        bars = select(at, price).where(*of)
        held = bars.where(at >= start, at < end)
        before = bars.where(at < start).order_by(at.desc()).limit(1)
        after = bars.where(at >= end).order_by(at).limit(1)
        found = self._session.execute(union_all(before, held, after)).all()
        return Known(
            held={at: price for at, price in found if start <= at < end},
            before=next((price for at, price in found if at < start), None),
            after=next((price for at, price in found if at >= end), None),
        )

    def read(self, window: Window, *, format_: Text, limit: int) -> Mapping[str, Any]:
        """The first `limit` bars of a window, rendered by Postgres, and the series as it is now."""
        past = window.edition is not None or window.as_of is not None
        version = window.edition.version if window.edition else LATEST_VERSION
        bounds = {"start": window.start, "end": window.end, "limit": limit}
        known = {"version": version, "as_of": window.as_of or "infinity"} if past else {}
        statement = statements.reading(window.frequency, format_, past=past)
        return self._one(statement, window.dataset, window.frequency, **bounds, **known)

    def coverage(self, dataset: str, frequency: str) -> Mapping[str, Any]:
        """`first`, `last`, and the `starts` and `ends` of what is missing between them."""
        return self._one(statements.GAPS[frequency], dataset, frequency)

    def _one(self, statement: str, dataset: str, frequency: str, **values: Any) -> Mapping[str, Any]:
        row = self._session.execute(text(statement), _parameters(dataset, frequency) | values).one()
        return dict(row._mapping)  # noqa: SLF001  # SQLAlchemy's documented way to a row's names


def _parameters(dataset: str, frequency: str) -> dict[str, Any]:
    return {"dataset": dataset, "frequency": STORED.get(frequency, frequency), "period": PERIODS[frequency]}
