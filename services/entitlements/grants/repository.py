"""Reads and writes grants' rows."""

from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from operator import eq, gt, lt
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, case, func
from sqlalchemy.dialects.postgresql import distinct_on, insert
from sqlalchemy.orm import Session
from sqlmodel import col, select
from sqlmodel.sql.expression import SelectOfScalar

from services.entitlements.database import feed
from services.entitlements.grants.entities import Grant
from services.entitlements.grants.schemas import GrantsQuery
from shared.coherence.owner import must_settle, raise_change, stamp_columns, stamp_of
from shared.coherence.stamp import Stamp, name_of

Comparison = Callable[[Any, Any], Any]


class GrantRepository:
    """The grants in one transaction."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def add(self, grant: Grant) -> bool:
        """Write a new grant; false when its cell has an unclosed one, also from a twin at the same moment."""
        written = insert(Grant).values(grant.model_dump()).on_conflict_do_nothing().returning(col(Grant.id))
        return self._session.execute(written).first() is not None

    def find(self, grant: UUID) -> Grant | None:
        """The grant, if there is one."""
        return self._session.get(Grant, grant)

    def lock(self, grant: UUID) -> Grant | None:
        """The grant, held until the transaction ends."""
        query = select(Grant).where(Grant.id == grant).with_for_update().execution_options(populate_existing=True)
        return self._session.scalars(query).first()

    def lock_unclosed(self, account: UUID, dataset: str, frequency: str) -> Grant | None:
        """The cell's unclosed grant, held until the transaction ends."""
        query = self._unclosed(account, dataset).where(Grant.frequency == frequency).with_for_update()
        return self._session.scalars(query.execution_options(populate_existing=True)).first()

    def unclosed(self, account: UUID, dataset: str) -> Sequence[Grant]:
        """The account's unclosed grants on a dataset; some may have run out."""
        return self._session.scalars(self._unclosed(account, dataset)).all()

    def unclosed_stamped(self, account: UUID, dataset: str) -> tuple[Sequence[Grant], Stamp | None]:
        """The same, with the count of changes read in the same statement; without grants there is no stamp."""
        rows = self._session.execute(self._unclosed(account, dataset).add_columns(*stamp_columns(feed))).all()
        return [row[0] for row in rows], stamp_of(*rows[0][1:]) if rows else None

    def raise_change(self, grant: Grant) -> None:
        """The cell's answer could become no, or end earlier; so could that about its dataset as a whole."""
        names = (name_of(grant.account, grant.dataset, frequency) for frequency in (grant.frequency, None))
        raise_change(self._session, feed, names)

    def see_closed(self) -> None:
        """An answer that says so waits like the one that closed it: that one may not have answered yet."""
        must_settle(self._session)

    def _unclosed(self, account: UUID, dataset: str) -> SelectOfScalar[Grant]:
        return select(Grant).where(Grant.account == account, Grant.dataset == dataset, col(Grant.closed_at).is_(None))

    def latest(self, account: UUID, dataset: str, frequencies: Iterable[str]) -> Sequence[Grant]:
        """The newest grant of each of these cells that no other one took the place of."""
        query = select(Grant).where(Grant.account == account, Grant.dataset == dataset)
        query = query.where(col(Grant.frequency).in_(set(frequencies)))
        query = query.where(col(Grant.close_reason).is_distinct_from("superseded"))
        query = query.ext(distinct_on(col(Grant.frequency)))
        return self._session.scalars(query.order_by(col(Grant.frequency), col(Grant.created_at).desc())).all()

    def latest_of(self, account: UUID) -> Sequence[Grant]:
        """The same of all the account's cells."""
        cell = (col(Grant.dataset), col(Grant.frequency))
        query = select(Grant).where(Grant.account == account, col(Grant.close_reason).is_distinct_from("superseded"))
        return self._session.scalars(query.ext(distinct_on(*cell)).order_by(*cell, col(Grant.created_at).desc())).all()

    def page(self, query: GrantsQuery, *, account: UUID | None, after: UUID | None, limit: int) -> Sequence[Grant]:
        """Grants that match the query, oldest first; `account` narrows what the caller may see."""
        wanted: list[tuple[Any, Comparison, object]] = [
            (col(Grant.account), eq, account),
            (col(Grant.account), eq, query.account),
            (col(Grant.dataset), eq, query.dataset),
            (col(Grant.frequency), eq, query.frequency),
            (col(Grant.ends_at), lt, query.ending_before),
            (_status(), eq, query.status),
            (col(Grant.id), gt, after),
        ]
        conditions = [compare(column, value) for column, compare, value in wanted if value is not None]
        conditions += _in_force(query.as_of) if query.as_of else []
        return self._session.scalars(select(Grant).where(*conditions).order_by(col(Grant.id)).limit(limit)).all()

    def flush(self) -> None:
        """Write what was changed, so that what follows sees it."""
        self._session.flush()


def _in_force(at: datetime) -> list[ColumnElement[bool]]:
    """Those that allowed reading at an instant, as `policy.status_of` said then: what closed one was written once."""
    return [
        col(Grant.created_at) <= at,
        col(Grant.starts_at) <= at,
        func.coalesce(col(Grant.ends_at) > at, True),
        func.coalesce(col(Grant.closed_at) > at, True),
    ]


def _status() -> ColumnElement[str]:
    """The status in SQL, by the rules of `policy.status_of`."""
    now = func.clock_timestamp()
    return case(
        (col(Grant.close_reason) == "account-closed", "revoked"),
        (col(Grant.close_reason).is_not(None), col(Grant.close_reason)),
        (now < col(Grant.starts_at), "scheduled"),
        (now >= col(Grant.ends_at), "ended"),
        else_="active",
    )
