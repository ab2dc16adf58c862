"""Reads and writes grants' rows."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from operator import eq, gt, lt
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, and_, case, func, literal, null
from sqlalchemy.dialects.postgresql import distinct_on, insert
from sqlalchemy.orm import Session
from sqlmodel import col, select
from sqlmodel.sql.expression import SelectOfScalar

from services.entitlements.accounts.entities import Account
from services.entitlements.accounts.repository import was_good
from services.entitlements.announcements.policy import announcements_of, endings
from services.entitlements.announcements.repository import AnnouncementRepository
from services.entitlements.database import feed
from services.entitlements.grants.entities import Grant
from services.entitlements.grants.policy import end_of, foreseen, grace_of, longest
from services.entitlements.grants.schemas import GrantsQuery
from shared.coherence.owner import must_settle, raise_change, stamp_columns, stamp_of
from shared.coherence.stamp import Stamp, name_of
from shared.database import UtcDateTime

NAMED = ("revoked", "account-closed", "relinquished")
Comparison = Callable[[Any, Any], Any]


class GrantRepository:
    """The grants in one transaction."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._announcements = AnnouncementRepository(session)

    def add(self, grant: Grant) -> bool:
        """Write a new grant with its announcements; false when its cell has an unclosed one, also from a twin."""
        written = insert(Grant).values(grant.model_dump()).on_conflict_do_nothing().returning(col(Grant.id))
        if self._session.execute(written).first() is None:
            return False
        self._announcements.add(grant.id, announcements_of(grant.starts_at, foreseen(grant), grant.created_at))
        return True

    def find(self, grant: UUID) -> Grant | None:
        """The grant, if there is one."""
        return self._session.get(Grant, grant)

    def lock(self, grant: UUID) -> Grant | None:
        """The grant, held until the transaction ends."""
        query = select(Grant).where(Grant.id == grant).with_for_update().execution_options(populate_existing=True)
        return self._session.scalars(query).first()

    def lock_free(self, grants: Iterable[UUID]) -> dict[UUID, Grant]:
        """Those of these grants that nobody holds, held until the transaction ends: never waits."""
        query = select(Grant).where(col(Grant.id).in_(set(grants))).with_for_update(skip_locked=True)
        return {grant.id: grant for grant in self._session.scalars(query.execution_options(populate_existing=True))}

    def lock_unclosed(self, account: UUID, dataset: str, frequency: str) -> Grant | None:
        """The cell's unclosed grant, held until the transaction ends."""
        query = self._unclosed(account, dataset).where(Grant.frequency == frequency).with_for_update()
        return self._session.scalars(query.execution_options(populate_existing=True)).first()

    def lock_cells(self, account: UUID, dataset: str, frequencies: Iterable[str]) -> None:
        """Hold what stands in cells until the transaction ends: only a time taken after that decides about them.

        By dataset and frequency: whoever holds several cells' grants takes them in this order, or waits for none.
        """
        for frequency in sorted(frequencies):
            self.lock_unclosed(account, dataset, frequency)

    def unclosed(self, account: UUID, dataset: str) -> Sequence[Grant]:
        """The account's unclosed grants on a dataset; some may have run out."""
        return self._session.scalars(self._unclosed(account, dataset)).all()

    def unclosed_stamped(self, account: UUID, dataset: str) -> tuple[Sequence[Grant], Account | None, Stamp | None]:
        """The same, with the account and the count of changes as of the same statement; without grants, neither."""
        query = self._unclosed(account, dataset).outerjoin(Account, col(Account.id) == Grant.account)
        rows = self._session.execute(query.add_columns(Account, *stamp_columns(feed))).all()
        return ([row[0] for row in rows], rows[0][1], stamp_of(*rows[0][2:])) if rows else ([], None, None)

    def lock_held(self, account: UUID) -> Sequence[Grant]:
        """The account's unclosed grants, held until the transaction ends; in the order in which `lock_cells` does."""
        query = self._held(Grant.account == account).order_by(col(Grant.dataset), col(Grant.frequency))
        return self._session.scalars(query.with_for_update()).all()

    def lock_not_retiring_as(self, dataset: str, retired: Mapping[str, datetime], limit: int) -> Sequence[Grant]:
        """Unclosed grants on a dataset whose retirement is not the one that is given here, held if they are free."""
        days = {frequency: literal(at, UtcDateTime()) for frequency, at in retired.items()}
        own = case(days, value=col(Grant.frequency), else_=null()) if days else null()
        query = self._held(Grant.dataset == dataset, col(Grant.retires_at).is_distinct_from(own))
        oldest = query.order_by(col(Grant.id)).limit(limit)
        return self._session.scalars(oldest.with_for_update(skip_locked=True)).all()

    def _held(self, *which: ColumnElement[bool] | bool) -> SelectOfScalar[Grant]:
        unclosed = select(Grant).where(col(Grant.closed_at).is_(None), *which)
        return unclosed.execution_options(populate_existing=True)

    def write_end(self, grant: Grant, now: datetime) -> bool:
        """Write down the end that came by itself, if one has; whether the grant is over."""
        end = end_of(grant)
        if grant.closed_at is None and end is not None and end[0] <= now:
            self.close(grant, end[1], at=end[0])
        return grant.closed_at is not None

    def close(self, grant: Grant, how: str, *, at: datetime) -> None:
        """Write the closing, once; who revoked it, and why, stays only with what was revoked."""
        grant.closed_at, grant.close_reason = at, how
        if how not in NAMED:
            grant.closed_by = grant.close_note = grant.close_reason_code = None
        self._session.flush()

    def begin_grace(
        self, account: UUID, dataset: str, frequencies: Iterable[str], *, lapse_at: datetime, now: datetime
    ) -> None:
        """A renewal of these cells was asked for: where there is a grace, it keeps them going."""
        for frequency in frequencies:
            grant = self.lock_unclosed(account, dataset, frequency)
            if grant is not None and (until := grace_of(grant, lapse_at, now)) is not None:
                grant.grace_until = until
                self.move_end(grant, now)

    def end_grace(self, account: UUID, dataset: str, frequency: str, now: datetime) -> None:
        """The renewal of a cell was refused or withdrawn: its grace is over, and spent."""
        grant = self.lock_unclosed(account, dataset, frequency)
        if grant is None or grant.ends_at is None or grant.grace_until is None:
            return
        ends_at = max(grant.ends_at, now)
        if ends_at < grant.grace_until:
            grant.grace_until = ends_at
            self.move_end(grant, now)
            self.raise_change(grant)

    def move_end(self, grant: Grant, now: datetime) -> None:
        """Write what was changed about its end, and have that announced before and when it comes now."""
        self._session.flush()
        self._announcements.move_end(grant.id, longest(grant))
        self._announcements.move_endings(grant.id, endings(grant.starts_at, foreseen(grant)), now)

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
            (_end(), lt, query.ending_before),
            (_status(), eq, query.status),
            (col(Grant.id), gt, after),
        ]
        conditions = [compare(column, value) for column, compare, value in wanted if value is not None]
        conditions += [*in_force(query.as_of), was_good(col(Grant.account), query.as_of)] if query.as_of else []
        return self._session.scalars(select(Grant).where(*conditions).order_by(col(Grant.id)).limit(limit)).all()

    def flush(self) -> None:
        """Write what was changed, so that what follows sees it."""
        self._session.flush()


def _end() -> ColumnElement[datetime]:
    """The end in SQL, by the rules of `policy.end_of`."""
    ends_at = func.coalesce(col(Grant.grace_until), col(Grant.ends_at))
    return func.least(col(Grant.revokes_at), col(Grant.retires_at), ends_at)


def in_force(at: datetime) -> list[ColumnElement[bool]]:
    """Those that were active at an instant, as `policy.status_of` said then.

    What ended one is only ever moved while it is still to come, so the ends of now are those of any instant before.
    """
    return [
        col(Grant.created_at) <= at,
        col(Grant.starts_at) <= at,
        func.coalesce(_end() > at, True),
        func.coalesce(col(Grant.closed_at) > at, True),
    ]


def _status() -> ColumnElement[str]:
    """The status in SQL, by the rules of `policy.status_of`."""
    now = func.clock_timestamp()
    return case(
        (col(Grant.close_reason) == "account-closed", "revoked"),
        (col(Grant.close_reason).is_not(None), col(Grant.close_reason)),
        (and_(now >= _end(), col(Grant.revokes_at) == _end()), "revoked"),
        (and_(now >= _end(), col(Grant.retires_at) == _end()), "retired"),
        (now >= _end(), "ended"),
        (now < col(Grant.starts_at), "scheduled"),
        else_="active",
    )


def grant_gauges(session: Session) -> dict[str, float]:
    """How many grants are active."""
    query = select(func.count()).select_from(Grant).where(col(Grant.closed_at).is_(None), _status() == "active")
    return {"grants_active": session.execute(query).scalar_one()}
