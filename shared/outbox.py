"""Events that must be acted on: written in the fact's own transaction, carried by Dramatiq, done exactly once.

The row is the truth: Dramatiq only carries its id. A worker claims a row by lengthening its lease; the effect and
`done` are one transaction; a row whose lease ran out is handed over again, and only its latest attempt may write.
"""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import structlog
from sqlalchemy import (
    Column,
    ColumnElement,
    Index,
    MetaData,
    Row,
    Table,
    Text,
    Uuid,
    and_,
    case,
    func,
    insert,
    select,
    update,
)
from sqlalchemy import types as t
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Session

from shared.correlation import request_id
from shared.database import Database, UtcDateTime
from shared.errors import OUT_OF_REACH
from shared.ids import new_id

logger = structlog.get_logger(__name__)
LEASE = timedelta(seconds=10)
PASSING = ("08", "40", "53", "55P03", "57P", "58")  # SQLSTATEs: connection, rollback, resources, locks, stop, system
SLOW, SLOW_AT_MOST = "57014", timedelta(days=1)
SPREAD = timedelta(seconds=2)  # for each attempt; what was at work beside an event that kills is not so again
MAX_ATTEMPTS = 5
SOONEST, LATEST = timedelta(seconds=1), timedelta(seconds=10)  # after the database was out of reach
BATCH = 100
OPEN = ("pending", "sent", "working")


@dataclass(frozen=True)
class Event:
    """A fact, past tense: its type, what it carries, the request that caused it, and which attempt at it this is."""

    id: UUID
    type: str
    payload: dict[str, Any]
    created_at: datetime
    request_id: str | None
    attempt: int = 0


Handler = Callable[[Session, Event], None]


class NotNow(Exception):
    """An errand's turn has not come: it is due again after `pause`, and this was no attempt."""

    def __init__(self, pause: timedelta) -> None:
        self.pause = pause


@dataclass(frozen=True)
class Errand:
    """What has its effect elsewhere: `run` holds no transaction, and gives back what is then written with `done`.

    It may happen more than once, as a worker may die before it is written down; it takes less than `lease`. It raises
    NotNow where it has to wait.
    """

    run: Callable[[Database, Event], Handler]
    lease: timedelta


Task = Handler | Errand


def outbox_table(metadata: MetaData) -> Table:
    """The service's outbox: `pending`, `sent` to a worker, `working` there, then `done` or, given up, `dead`.

    `sent` and `working` are leases: when `due_at` has passed, the event is handed over again. Once it is over, `due_at`
    says since when.
    """
    return Table(
        "outbox",
        metadata,
        Column("id", Uuid, primary_key=True),
        Column("type", Text, nullable=False),
        Column("payload", JSONB, nullable=False),
        Column("request_id", Text),
        Column("created_at", UtcDateTime, nullable=False, server_default=func.clock_timestamp()),
        Column("state", Text, nullable=False, server_default="pending"),
        Column("attempts", t.Integer, nullable=False, server_default="0"),
        Column("due_at", UtcDateTime, nullable=False, server_default=func.clock_timestamp()),
        Column("error", Text),
        Index("ix_outbox_due", "due_at", postgresql_where="state in ('pending', 'sent', 'working')"),
        Index("ix_outbox_over", "state", "due_at", postgresql_where="state in ('done', 'dead')"),
    )


def publish(
    session: Session, table: Table, type_: str, payload: dict[str, Any], *, after: timedelta = timedelta()
) -> None:
    """Write an event in the caller's transaction: it happens if, and only if, that commits.

    One for later is written as of then, so that it does not count as late before.
    """
    at = func.clock_timestamp() + after
    row = {"id": new_id(), "type": type_, "payload": payload, "request_id": request_id()}
    session.execute(insert(table).values(**row, created_at=at, due_at=at))


def take_due(session: Session, table: Table, *, without: Collection[str] = ()) -> list[tuple[UUID, str]]:
    """Lease what is due, new events and those whose lease ran out, to whoever hands them over: ids and types.

    Types that are named in `without` are left.
    """
    due = (
        select(table.c.id)
        .where(table.c.state.in_(OPEN), table.c.due_at <= func.clock_timestamp(), table.c.type.not_in(without))
        .order_by(table.c.due_at)
        .limit(BATCH)
        .with_for_update(skip_locked=True)
    )
    lease = update(table).where(table.c.id.in_(due)).values(state="sent", due_at=func.clock_timestamp() + LEASE)
    return sorted((row[0], row[1]) for row in session.execute(lease.returning(table.c.id, table.c.type)))


def hand_back(session: Session, table: Table, events: list[UUID]) -> None:
    """Make events due again whose hand-over failed."""
    sent = update(table).where(table.c.id.in_(events), table.c.state == "sent")
    session.execute(sent.values(state="pending", due_at=func.clock_timestamp()))


def deliver(database: Database, table: Table, tasks: Mapping[str, Task], event_id: UUID) -> None:
    """Act on one event, unless it was already; a failure is recorded and tried again, at most five times in all.

    That the database is out of reach, or too busy, is no failure of the event: it waits, and no attempt is counted. A
    statement that takes too long may be either's fault: for a day it is taken for the database's.
    """
    with database.transaction() as session:
        event = _claim(session, table, tasks, event_id)
    if event is None:
        return
    try:
        with structlog.contextvars.bound_contextvars(request_id=event.request_id):
            task = tasks[event.type]
            effect = task.run(database, event) if isinstance(task, Errand) else task
            with database.transaction() as session:
                _act(session, table, effect, event)
    except NotNow as early:
        with database.transaction() as session:
            _put_off(session, table, event, early.pause)
    except Exception as error:
        passes = _passes(error, event)
        with database.transaction() as session:  # where that fails too, its lease runs out by itself
            if passes:
                _put_off(session, table, event, _patience(table))
            else:
                _fail(session, table, event, error)
        if not passes:
            raise
        logger.warning("database unavailable", type=event.type, id=str(event.id), error=str(error))


def _passes(error: Exception, event: Event) -> bool:
    """Whether it is trouble of the database's that ends by itself: it is away, full or stopping, or others hold locks.

    What else it calls operational is the event's own.
    """
    code = getattr(getattr(error, "orig", None), "sqlstate", None)
    if code == SLOW:
        return datetime.now(UTC) - event.created_at < SLOW_AT_MOST
    return isinstance(error, OUT_OF_REACH) and (code is None or code.startswith(PASSING))


def _claim(session: Session, table: Table, tasks: Mapping[str, Task], event_id: UUID) -> Event | None:
    """Count the attempt before it is made: an event that kills its worker is given up too.

    A second copy of the same message finds the event at work and leaves it alone.
    """
    sent = (table.c.id == event_id, table.c.state == "sent")
    spent = update(table).where(*sent, table.c.attempts >= MAX_ATTEMPTS)
    reason = func.coalesce(table.c.error, "the worker died of it")
    session.execute(spent.values(state="dead", error=reason, due_at=func.clock_timestamp()))
    attempt = table.c.attempts + 1
    due_at = func.clock_timestamp() + _lease(table, tasks) + attempt * func.random() * SPREAD
    claimed = update(table).where(*sent).values(state="working", attempts=attempt, due_at=due_at)
    row = session.execute(claimed.returning(table)).first()
    return None if row is None else _event(row)


def _lease(table: Table, tasks: Mapping[str, Task]) -> ColumnElement[Any] | timedelta:
    errands = {type_: task.lease for type_, task in tasks.items() if isinstance(task, Errand)}
    return (
        case(*((table.c.type == type_, lease) for type_, lease in errands.items()), else_=LEASE) if errands else LEASE
    )


def _event(row: Row[Any]) -> Event:
    kept = (row.id, row.type, row.payload, row.created_at, row.request_id)
    return Event(*kept, attempt=row.attempts)


def _held(table: Table, event: Event) -> ColumnElement[bool]:
    """The event's row while this attempt has it: one that was overtaken by the next writes nothing any more."""
    return and_(table.c.id == event.id, table.c.state == "working", table.c.attempts == event.attempt)


def _act(session: Session, table: Table, effect: Handler, event: Event) -> None:
    """The effect and `done`, together; whoever lost the event to another worker meanwhile does nothing."""
    row = select(table.c.id).where(_held(table, event)).with_for_update()
    if session.execute(row).first() is None:
        return
    effect(session, event)
    done = update(table).where(table.c.id == event.id)
    session.execute(done.values(state="done", error=None, due_at=func.clock_timestamp()))
    logger.info("event", type=event.type, id=str(event.id), attempt=event.attempt)


def _patience(table: Table) -> ColumnElement[Any]:
    """As long as it was waited for already, within limits."""
    waited = func.clock_timestamp() - table.c.created_at
    return func.least(func.greatest(waited, SOONEST), LATEST)


def _put_off(session: Session, table: Table, event: Event, pause: ColumnElement[Any] | timedelta) -> None:
    values = {"attempts": table.c.attempts - 1, "due_at": func.clock_timestamp() + pause}
    session.execute(update(table).where(_held(table, event)).values(state="pending", **values))


def _fail(session: Session, table: Table, event: Event, error: Exception) -> None:
    is_last = event.attempt >= MAX_ATTEMPTS
    pause = timedelta() if is_last else event.attempt * timedelta(seconds=1)
    values = {"error": repr(error)[:2000], "due_at": func.clock_timestamp() + pause}
    row = update(table).where(_held(table, event))
    session.execute(row.values(state="dead" if is_last else "pending", **values))
