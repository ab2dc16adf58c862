"""Reads and writes the rows of the market capitalisations."""

from collections.abc import Iterable, Sequence
from datetime import date, datetime

from sqlalchemy import RowMapping, delete, select, text
from sqlalchemy.orm import Session
from sqlmodel import col

from services.pricing.market_caps.entities import MarketCap, MarketCapRevision
from services.pricing.market_caps.schemas import DayCaps, Days
from services.pricing.prices.repository import LATEST_VERSION

CAP = "cap"
# the caller holds the series' row: what is read here is what is written over
MERGE = """
with better as materialized (
    select incoming.*, known.market_cap_usd as old_cap, known.observed_at as old_observed_at,
        known.provenance as old_provenance, known.recorded_at as old_recorded_at, known.version as old_version
    from unnest(cast(:days as date[]), cast(:caps as numeric[]), cast(:moments as timestamptz[]))
        as incoming (date, market_cap_usd, observed_at)
    left join pricing.market_caps as known on known.dataset = :dataset and known.date = incoming.date
    where known.date is null or known.provenance = any(cast(:worse as text[]))
), kept as (
    insert into pricing.market_cap_revisions
        (dataset, date, superseded_at, market_cap_usd, observed_at, provenance, recorded_at, version, last_version)
    select :dataset, date, :now, old_cap, old_observed_at, old_provenance, old_recorded_at, old_version, :version - 1
    from better where old_cap is not null
), written as (
    insert into pricing.market_caps (dataset, date, market_cap_usd, observed_at, provenance, recorded_at, version)
    select :dataset, date, market_cap_usd, observed_at, :provenance, :now, :version from better
    on conflict (dataset, date) do update set market_cap_usd = excluded.market_cap_usd,
        observed_at = excluded.observed_at, provenance = excluded.provenance, recorded_at = excluded.recorded_at,
        version = excluded.version
)
select count(*) from better
"""

# one snapshot of the series and of its days as they stood in a version, of that what was recorded until an instant; a
# day stands in one half only
READ = """
select source, coalesce(series.version, 0) as version, coalesce(first_version, 0) as first_version, updated_at,
    replaced_at, clock_timestamp() as now, known.*
from (select) as always
left join pricing.series on series.dataset = :dataset and series.frequency = :frequency
left join (
    select date, market_cap_usd, observed_at, provenance from pricing.market_caps
    where dataset = :dataset and date >= :start and date < :end
        and version <= :version and recorded_at <= cast(:as_of as timestamptz)
    union all
    select date, market_cap_usd, observed_at, provenance from pricing.market_cap_revisions
    where dataset = :dataset and date >= :start and date < :end
        and version <= :version and recorded_at <= cast(:as_of as timestamptz)
        and (last_version >= :version or superseded_at > cast(:as_of as timestamptz))
) as known on true
order by date limit cast(:limit as bigint)
"""


class MarketCapRepository:
    """The market capitalisations in one transaction."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def read(self, days: Days, *, limit: int | None) -> Sequence[RowMapping]:
        """At most `limit` days, each beside the series as it is now; the series alone where there are none."""
        values = {
            "dataset": days.dataset,
            "frequency": CAP,
            "start": days.start,
            "end": days.end,
            "version": days.edition.version if days.edition else LATEST_VERSION,
            "as_of": days.as_of or "infinity",
            "limit": limit,
        }
        return self._session.execute(text(READ), values).mappings().all()

    def provenances(self, day: date) -> dict[str, str]:
        """The provenance of that day's row, by dataset."""
        query = select(col(MarketCap.dataset), col(MarketCap.provenance)).where(col(MarketCap.date) == day)
        return {row.dataset: row.provenance for row in self._session.execute(query)}

    def merge(
        self, dataset: str, caps: DayCaps, *, provenance: str, over: Iterable[str], now: datetime, version: int
    ) -> int:
        """Write days where there is none or one whose provenance is in `over`, which is kept; how many were."""
        values = {
            "dataset": dataset,
            "days": list(caps),
            "caps": [cap.market_cap for cap in caps.values()],
            "moments": [cap.observed_at for cap in caps.values()],
            "worse": list(over),
            "provenance": provenance,
            "now": now,
            "version": version,
        }
        return int(self._session.execute(text(MERGE), values).scalar_one())

    def clear(self, dataset: str) -> None:
        """Delete all days, and what they once were."""
        for table in (MarketCap, MarketCapRevision):
            self._session.execute(delete(table).where(col(table.dataset) == dataset))
