"""Reads and writes the rows of requests and items."""

from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from operator import eq, gt
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Text, case, cast, func, update
from sqlalchemy.dialects.postgresql import distinct_on, insert
from sqlalchemy.orm import Session
from sqlmodel import col, select
from sqlmodel.sql.expression import SelectOfScalar

from services.entitlements.requests.entities import UNDECIDED, AccessRequest, RequestItem, RequestMessage
from services.entitlements.requests.schemas import RequestsQuery

SHORTEST_FIRST = ("1m", "1h", "1d", "1mo")
Comparison = Callable[[Any, Any], Any]


class RequestRepository:
    """The requests in one transaction."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def add(self, request: AccessRequest, items: Sequence[RequestItem]) -> set[str]:
        """Write a request with those items whose cells have no undecided one; the frequencies written.

        The partial unique index decides, so a twin at the same moment waits here and then writes nothing.
        """
        self._session.execute(insert(AccessRequest).values(request.model_dump()))
        rows = insert(RequestItem).values([item.model_dump() for item in items])
        written = self._session.execute(rows.on_conflict_do_nothing().returning(col(RequestItem.frequency)))
        return set(written.scalars())

    def find(self, request: UUID) -> AccessRequest | None:
        """The request, if there is one."""
        return self._session.get(AccessRequest, request)

    def items(self, requests: Iterable[UUID]) -> Sequence[RequestItem]:
        """The items of these requests, shortest frequency first."""
        query = select(RequestItem).where(col(RequestItem.request_id).in_(set(requests)))
        return _shortest_first(self._session.scalars(query.execution_options(populate_existing=True)))

    def lock_items(self, request: UUID) -> Sequence[RequestItem]:
        """The request's items, held until the transaction ends; always in the same order."""
        query = select(RequestItem).where(RequestItem.request_id == request).order_by(col(RequestItem.id))
        return self._session.scalars(query.with_for_update().execution_options(populate_existing=True)).all()

    def undecided(self, account: UUID, dataset: str, frequencies: Iterable[str]) -> Sequence[RequestItem]:
        """The undecided items of these cells; some may have lapsed unwritten."""
        return self._session.scalars(self._cell(account, dataset, frequencies).where(_is_undecided())).all()

    def lock_undecided(self, account: UUID, dataset: str, frequencies: Iterable[str]) -> Sequence[RequestItem]:
        """The same, held until the transaction ends; in the order in which `lock_items` takes them."""
        query = self._cell(account, dataset, frequencies).where(_is_undecided()).order_by(col(RequestItem.id))
        return self._session.scalars(query.with_for_update().execution_options(populate_existing=True)).all()

    def lock_asked(self, account: UUID) -> Sequence[RequestItem]:
        """All undecided items of an account, held likewise."""
        query = select(RequestItem).where(_is_undecided(), RequestItem.account == account).order_by(col(RequestItem.id))
        return self._session.scalars(query.with_for_update().execution_options(populate_existing=True)).all()

    def lock_retired(
        self, dataset: str, frequencies: Iterable[str], now: datetime, limit: int
    ) -> Sequence[RequestItem]:
        """Undecided items for these frequencies that have not lapsed, shortest first, held if they are free.

        So many, with the others of the last one's request.
        """
        cells = (RequestItem.dataset == dataset, col(RequestItem.frequency).in_(set(frequencies)))
        open_ = (*cells, _is_undecided(), col(RequestItem.lapse_at) > now)
        first = select(RequestItem.request_id).where(*open_).order_by(col(RequestItem.request_id)).limit(limit)
        query = select(RequestItem).where(*open_, col(RequestItem.request_id).in_(first))
        held = query.with_for_update(skip_locked=True).execution_options(populate_existing=True)
        return _shortest_first(self._session.scalars(held))

    def latest(self, account: UUID, dataset: str, frequencies: Iterable[str]) -> Sequence[RequestItem]:
        """The newest item of each of these cells."""
        query = self._cell(account, dataset, frequencies).ext(distinct_on(col(RequestItem.frequency)))
        return self._session.scalars(query.order_by(col(RequestItem.frequency), col(RequestItem.id).desc())).all()

    def latest_of(self, account: UUID) -> Sequence[RequestItem]:
        """The undecided item, else the newest, of each of the account's cells."""
        cell = (col(RequestItem.dataset), col(RequestItem.frequency))
        query = select(RequestItem).where(RequestItem.account == account).ext(distinct_on(*cell))
        newest = query.order_by(*cell, _is_undecided().desc(), col(RequestItem.id).desc())
        return self._session.scalars(newest).all()

    def _cell(self, account: UUID, dataset: str, frequencies: Iterable[str]) -> SelectOfScalar[RequestItem]:
        cell = (RequestItem.account == account, RequestItem.dataset == dataset)
        return select(RequestItem).where(*cell, col(RequestItem.frequency).in_(set(frequencies)))

    def count_undecided(self, account: UUID, now: datetime) -> int:
        """How many of the account's items wait for a decision."""
        open_ = (RequestItem.account == account, _is_undecided(), col(RequestItem.lapse_at) > now)
        return self._session.execute(select(func.count()).where(*open_)).scalar_one()

    def lock_lapsed(self, now: datetime, *, limit: int) -> Sequence[RequestItem]:
        """Undecided items whose time is over, the oldest first, held; whoever holds some already settles those."""
        due = select(RequestItem).where(_is_undecided(), col(RequestItem.lapse_at) <= now)
        due = due.order_by(col(RequestItem.lapse_at), col(RequestItem.id)).limit(limit)
        held = due.with_for_update(skip_locked=True).execution_options(populate_existing=True)
        return self._session.scalars(held).all()

    def lapse(self, item: RequestItem) -> bool:
        """Write down that it lapsed, so that its place is free; false when somebody did already."""
        return self.decide(item.id, status="lapsed", decided_at=item.lapse_at)

    def move(self, items: Iterable[RequestItem], status: str) -> None:
        """Have items that are held and undecided wait for somebody else."""
        moved = update(RequestItem).where(col(RequestItem.id).in_({item.id for item in items}), _is_undecided())
        self._session.execute(moved.values(status=status))

    def decide(self, item: UUID, **outcome: Any) -> bool:
        """Write an item's outcome; false when it was decided already."""
        guarded = update(RequestItem).where(col(RequestItem.id) == item, _is_undecided()).values(**outcome)
        return self._session.execute(guarded.returning(col(RequestItem.id))).first() is not None

    def say(self, message: RequestMessage) -> None:
        """Add to a request's thread."""
        self._session.execute(insert(RequestMessage).values(message.model_dump()))

    def threads(self, requests: Iterable[UUID]) -> Sequence[RequestMessage]:
        """What was asked and answered about these requests, oldest first."""
        query = select(RequestMessage).where(col(RequestMessage.request_id).in_(set(requests)))
        return self._session.scalars(query.order_by(col(RequestMessage.at), col(RequestMessage.id))).all()

    def page(
        self, query: RequestsQuery, *, now: datetime, account: UUID | None, after: UUID | None, limit: int
    ) -> Sequence[AccessRequest]:
        """Requests that match the query, oldest first; `account` narrows what the caller may see."""
        wanted: list[tuple[Any, Comparison, object]] = [
            (col(AccessRequest.account), eq, account),
            (col(AccessRequest.account), eq, query.account),
            (col(AccessRequest.dataset), eq, query.dataset),
            (col(AccessRequest.id), gt, after),
        ]
        conditions = [compare(column, value) for column, compare, value in wanted if value is not None]
        conditions += [_is(query.status, now)] if query.status else []
        page = select(AccessRequest).where(*conditions).order_by(col(AccessRequest.id)).limit(limit)
        return self._session.scalars(page).all()


def _shortest_first(items: Iterable[RequestItem]) -> Sequence[RequestItem]:
    return sorted(items, key=lambda item: SHORTEST_FIRST.index(item.frequency))


def _is_undecided() -> ColumnElement[bool]:
    return col(RequestItem.status).in_(UNDECIDED)


def _is(status: str, now: datetime) -> ColumnElement[bool]:
    """Whether a request is of this status; those that wait are found by what is undecided, however much was decided."""
    if status != "pending":
        return _status(now) == status
    open_ = select(col(RequestItem.request_id)).where(_is_undecided(), col(RequestItem.lapse_at) > now)
    return col(AccessRequest.id).in_(open_)


def _status(now: datetime) -> ColumnElement[str]:
    """The request's status in SQL, by the rules of `policy.request_status`."""
    lapsed = _is_undecided() & (col(RequestItem.lapse_at) <= now)
    state = case((lapsed, "lapsed"), else_=cast(col(RequestItem.status), Text))
    derived = case(
        (func.bool_or(state.in_(UNDECIDED)), "pending"),
        (func.min(state) == func.max(state), func.min(state)),
        (func.bool_or(state == "approved"), "partially-approved"),
        else_="closed",
    )
    return select(derived).where(RequestItem.request_id == AccessRequest.id).correlate(AccessRequest).scalar_subquery()


def request_gauges(session: Session) -> dict[str, float]:
    """How many items wait for a decision, and for how many seconds the oldest has."""
    now = func.clock_timestamp()
    age = func.extract("epoch", now - func.min(AccessRequest.created_at))
    query = select(func.count(), age).select_from(RequestItem)
    query = query.join(AccessRequest, col(AccessRequest.id) == RequestItem.request_id)
    row = session.execute(query.where(col(RequestItem.status).in_(UNDECIDED), col(RequestItem.lapse_at) > now)).one()
    return {"requests_pending": row[0], "requests_oldest_seconds": max(float(row[1] or 0), 0.0)}
