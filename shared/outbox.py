"""Events that must be acted on: written in the fact's own transaction, carried by Dramatiq, done exactly once.

The row is the truth: Dramatiq only carries its id. A worker claims a row by lengthening its lease; the effect and
`done` are one transaction; a row whose lease ran out is handed over again.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import structlog
from sqlalchemy import Column, Index, MetaData, Table, Text, Uuid, func, insert, select, update
from sqlalchemy import types as t
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Session

from shared.correlation import request_id
from shared.database import Database, UtcDateTime
from shared.ids import new_id

logger = structlog.get_logger(__name__)
LEASE = timedelta(seconds=10)
MAX_ATTEMPTS = 5
BATCH = 100
OPEN = ("pending", "sent", "working")


@dataclass(frozen=True)
class Event:
    """A fact, past tense: its type, what it carries, and the request that caused it."""

    id: UUID
    type: str
    payload: dict[str, Any]
    created_at: datetime
    request_id: str | None


Handler = Callable[[Session, Event], None]


def outbox_table(metadata: MetaData) -> Table:
    """The service's outbox: `pending`, `sent` to a worker, `working` there, then `done` or, given up, `dead`.

    `sent` and `working` are leases: when `due_at` has passed, the event is handed over again.
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
    )


def publish(session: Session, table: Table, type_: str, payload: dict[str, Any]) -> None:
    """Write an event in the caller's transaction: it happens if, and only if, that commits."""
    row = {"id": new_id(), "type": type_, "payload": payload, "request_id": request_id()}
    session.execute(insert(table).values(row))


def take_due(session: Session, table: Table) -> list[UUID]:
    """Lease the events that are due, new ones and those whose lease ran out, to whoever hands them over."""
    due = (
        select(table.c.id)
        .where(table.c.state.in_(OPEN), table.c.due_at <= func.clock_timestamp())
        .order_by(table.c.id)
        .limit(BATCH)
        .with_for_update(skip_locked=True)
    )
    lease = update(table).where(table.c.id.in_(due)).values(state="sent", due_at=func.clock_timestamp() + LEASE)
    return sorted(session.execute(lease.returning(table.c.id)).scalars())


def hand_back(session: Session, table: Table, events: list[UUID]) -> None:
    """Make events due again whose hand-over failed."""
    sent = update(table).where(table.c.id.in_(events), table.c.state == "sent")
    session.execute(sent.values(state="pending", due_at=func.clock_timestamp()))


def deliver(database: Database, table: Table, tasks: Mapping[str, Handler], event_id: UUID) -> None:
    """Act on one event, unless it was already; a failure is recorded and tried again, at most five times in all."""
    with database.transaction() as session:
        if not _claim(session, table, event_id):
            return
    try:
        with database.transaction() as session:
            _act(session, table, tasks, event_id)
    except Exception as error:
        with database.transaction() as session:
            _fail(session, table, event_id, error)
        raise


def _claim(session: Session, table: Table, event_id: UUID) -> bool:
    """Count the attempt before it is made: an event that kills its worker is given up too.

    A second copy of the same message finds the event at work and leaves it alone.
    """
    sent = (table.c.id == event_id, table.c.state == "sent")
    spent = update(table).where(*sent, table.c.attempts >= MAX_ATTEMPTS)
    session.execute(spent.values(state="dead", error=func.coalesce(table.c.error, "the worker died of it")))
    lease = {"attempts": table.c.attempts + 1, "due_at": func.clock_timestamp() + LEASE}
    claimed = update(table).where(*sent).values(state="working", **lease)
    return session.execute(claimed.returning(table.c.id)).first() is not None


def _act(session: Session, table: Table, tasks: Mapping[str, Handler], event_id: UUID) -> None:
    row = session.execute(
        select(table).where(table.c.id == event_id, table.c.state == "working").with_for_update()
    ).first()
    if row is None:
        return
    event = Event(id=row.id, type=row.type, payload=row.payload, created_at=row.created_at, request_id=row.request_id)
    with structlog.contextvars.bound_contextvars(request_id=event.request_id):
        tasks[event.type](session, event)
        logger.info("event", type=event.type, id=str(event.id), attempt=row.attempts)
    session.execute(update(table).where(table.c.id == event_id).values(state="done", error=None))


def _fail(session: Session, table: Table, event_id: UUID, error: Exception) -> None:
    attempts = table.c.attempts
    values = {"error": repr(error)[:2000], "due_at": func.clock_timestamp() + attempts * timedelta(seconds=1)}
    row = update(table).where(table.c.id == event_id, table.c.state == "working")
    session.execute(row.where(attempts >= MAX_ATTEMPTS).values(state="dead", **values))
    session.execute(row.where(attempts < MAX_ATTEMPTS).values(state="pending", **values))
