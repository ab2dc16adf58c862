"""Reads and writes the rows of the market capitalisations."""

from collections.abc import Iterable, Sequence
from datetime import date, datetime

from sqlalchemy import delete, select, text
from sqlalchemy.orm import Session
from sqlmodel import col

from services.pricing.market_caps.entities import MarketCap
from services.pricing.market_caps.schemas import DayCaps

# the dataset's lock makes what is read here what is written over
LOCK = "select pg_advisory_xact_lock(hashtextextended('pricing.market_caps/' || :dataset, 0))"
MERGE = """
with better as materialized (
    select incoming.*, known.market_cap_usd as old_cap, known.observed_at as old_observed_at,
        known.provenance as old_provenance, known.recorded_at as old_recorded_at
    from unnest(cast(:days as date[]), cast(:caps as numeric[]), cast(:moments as timestamptz[]))
        as incoming (date, market_cap_usd, observed_at)
    left join pricing.market_caps as known on known.dataset = :dataset and known.date = incoming.date
    where known.date is null or known.provenance = any(cast(:worse as text[]))
), kept as (
    insert into pricing.market_cap_revisions
        (dataset, date, superseded_at, market_cap_usd, observed_at, provenance, recorded_at)
    select :dataset, date, :now, old_cap, old_observed_at, old_provenance, old_recorded_at
    from better where old_cap is not null
), written as (
    insert into pricing.market_caps (dataset, date, market_cap_usd, observed_at, provenance, recorded_at)
    select :dataset, date, market_cap_usd, observed_at, :provenance, :now from better
    on conflict (dataset, date) do update set market_cap_usd = excluded.market_cap_usd,
        observed_at = excluded.observed_at, provenance = excluded.provenance, recorded_at = excluded.recorded_at
)
select count(*) from better
"""


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

    def lock(self, dataset: str) -> None:
        """Hold the dataset's days until the transaction ends: one writer after another."""
        self._session.execute(text(LOCK), {"dataset": dataset})

    def merge(self, dataset: str, caps: DayCaps, *, provenance: str, over: Iterable[str], now: datetime) -> int:
        """Write days where there is none or one whose provenance is in `over`, which is kept; how many were."""
        values = {
            "dataset": dataset,
            "days": list(caps),
            "caps": [cap.market_cap for cap in caps.values()],
            "moments": [cap.observed_at for cap in caps.values()],
            "worse": list(over),
            "provenance": provenance,
            "now": now,
        }
        return int(self._session.execute(text(MERGE), values).scalar_one())

    def delete(self, dataset: str, *, provenance: str) -> None:
        """Delete all days of a provenance."""
        which = (col(MarketCap.dataset) == dataset, col(MarketCap.provenance) == provenance)
        self._session.execute(delete(MarketCap).where(*which))
