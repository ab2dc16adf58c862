"""Writes down and sums up what was read."""

from collections.abc import Mapping, Sequence
from uuid import UUID

from sqlalchemy import RowMapping, func, select, text, tuple_
from sqlalchemy.orm import Session
from sqlmodel import col

from services.pricing.usage.entities import Usage
from services.pricing.usage.uses import Cell, Use

# in the order of the key: so two replicas that write at once do not wait for each other in a circle
ADD = """
insert into pricing.usage (account, dataset, frequency, day, account_name, rows, last_read_at)
select * from unnest(
    cast(:accounts as uuid[]), cast(:datasets as text[]), cast(:frequencies as text[]), cast(:days as date[]),
    cast(:names as text[]), cast(:rows as bigint[]), cast(:times as timestamptz[])
) order by 1, 2, 3, 4
on conflict (account, dataset, frequency, day) do update set
    account_name = excluded.account_name,
    rows = usage.rows + excluded.rows,
    last_read_at = greatest(usage.last_read_at, excluded.last_read_at)
"""
REPORTED = """
update pricing.usage set reported = greatest(usage.reported, told.rows)
from unnest(
    cast(:accounts as uuid[]), cast(:datasets as text[]), cast(:frequencies as text[]), cast(:days as date[]),
    cast(:rows as bigint[])
) as told (account, dataset, frequency, day, rows)
where (usage.account, usage.dataset, usage.frequency, usage.day)
    = (told.account, told.dataset, told.frequency, told.day)
"""
DAYS = 30


class UsageRepository:
    """The usage in one transaction."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def add(self, uses: Mapping[Cell, Use]) -> None:
        """Add counts to what is written, in one statement."""
        columns = {
            "accounts": [cell.account for cell in uses],
            "datasets": [cell.dataset for cell in uses],
            "frequencies": [cell.frequency for cell in uses],
            "days": [cell.day for cell in uses],
            "names": [use.account_name for use in uses.values()],
            "rows": [use.rows for use in uses.values()],
            "times": [use.last_read_at for use in uses.values()],
        }
        self._session.execute(text(ADD), columns)

    def unreported(self, limit: int) -> Sequence[RowMapping]:
        """At most `limit` counts that have grown since entitlements last heard of them."""
        cell = (col(Usage.account), col(Usage.dataset), col(Usage.frequency), col(Usage.day))
        counts = select(*cell, col(Usage.rows), col(Usage.last_read_at)).where(col(Usage.reported) < col(Usage.rows))
        return self._session.execute(counts.order_by(*cell).limit(limit)).mappings().all()

    def mark(self, told: Sequence[RowMapping]) -> None:
        """Keep that entitlements has heard of these counts; what was read since is reported later."""
        columns = {"accounts": "account", "datasets": "dataset", "frequencies": "frequency", "days": "day"}
        values = {name: [row[column] for row in told] for name, column in (columns | {"rows": "rows"}).items()}
        self._session.execute(text(REPORTED), values)

    def page(
        self, *, account: UUID | None, dataset: str | None, after: tuple[UUID, str, str] | None, limit: int
    ) -> Sequence[RowMapping]:
        """At most `limit` cells that were read in the last 30 days, after the one at `after`."""
        cell = (col(Usage.account), col(Usage.dataset), col(Usage.frequency))
        name = func.max(col(Usage.account_name)).label("account_name")
        rows = func.sum(col(Usage.rows)).label("rows")
        last = func.max(col(Usage.last_read_at)).label("last_read_at")
        query = select(*cell, name, rows, last).where(col(Usage.day) > func.current_date() - DAYS)
        if account is not None:
            query = query.where(col(Usage.account) == account)
        if dataset is not None:
            query = query.where(col(Usage.dataset) == dataset)
        if after is not None:
            query = query.where(tuple_(*cell) > after)
        return self._session.execute(query.group_by(*cell).order_by(*cell).limit(limit)).mappings().all()
