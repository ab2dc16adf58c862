"""Reads and writes the rows of the market capitalisations."""

from collections.abc import Iterable, Sequence
from datetime import date

from sqlalchemy import delete, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session
from sqlmodel import col

from services.pricing.market_caps.entities import MarketCap

CHANGED = ("market_cap_usd", "observed_at", "provenance", "recorded_at")


class MarketCapRepository:
    """The market capitalisations in one transaction."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def page(self, dataset: str, *, start: date, end: date, limit: int | None) -> Sequence[MarketCap]:
        """At most `limit` days in [start, end); all of them without one."""
        days = (col(MarketCap.date) >= start, col(MarketCap.date) < end)
        query = select(MarketCap).where(col(MarketCap.dataset) == dataset, *days)
        return self._session.scalars(query.order_by(col(MarketCap.date)).limit(limit)).all()

    def any_provenance(self, dataset: str) -> str | None:
        """The provenance of one of the dataset's days, if there is one."""
        return self._session.scalars(
            select(col(MarketCap.provenance)).where(col(MarketCap.dataset) == dataset).limit(1)
        ).first()

    def provenances(self, day: date) -> dict[str, str]:
        """The provenance of that day's row, by dataset."""
        query = select(col(MarketCap.dataset), col(MarketCap.provenance)).where(col(MarketCap.date) == day)
        return {row.dataset: row.provenance for row in self._session.execute(query)}

    def write(self, row: MarketCap, *, over: Iterable[str]) -> bool:
        """Write a day's row, over one whose provenance is in `over`; false when a better one stands there."""
        new = insert(MarketCap).values(row.model_dump())
        kept = new.on_conflict_do_update(
            index_elements=["dataset", "date"],
            set_={name: new.excluded[name] for name in CHANGED},
            where=col(MarketCap.provenance).in_(list(over)),
        )
        return self._session.execute(kept.returning(col(MarketCap.date))).first() is not None

    def delete(self, dataset: str, *, provenance: str) -> None:
        """Delete all days of a provenance."""
        which = (col(MarketCap.dataset) == dataset, col(MarketCap.provenance) == provenance)
        self._session.execute(delete(MarketCap).where(*which))
