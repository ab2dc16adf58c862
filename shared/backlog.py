"""What lies in an outbox: how much, how old, what was given up and why; putting that back, and the rest away."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import Row, Table, delete, func, select, update
from sqlalchemy.orm import Session

from shared.outbox import OPEN

KEPT = timedelta(days=7)
SWEPT = 1000


@dataclass(frozen=True)
class Backlog:
    """How many events wait or are at work, how many seconds ago the oldest was due, how many are dead."""

    depth: int
    age: float
    dead: int


def backlog(session: Session, table: Table) -> Backlog:
    """How things stand in the outbox."""
    age = func.extract("epoch", func.clock_timestamp() - func.min(table.c.created_at))
    row = session.execute(select(func.count(), age).where(table.c.state.in_(OPEN))).one()
    dead = session.execute(select(func.count()).where(table.c.state == "dead")).scalar_one()
    return Backlog(depth=row[0], age=max(float(row[1] or 0), 0.0), dead=dead)


def outbox_gauges(table: Table, session: Session) -> dict[str, float]:
    """The same, as figures."""
    found = backlog(session, table)
    return {"outbox_depth": found.depth, "outbox_oldest_seconds": found.age, "outbox_dead": found.dead}


def dead_letters(session: Session, table: Table, *, limit: int) -> Sequence[Row[Any]]:
    """The events that were given up, the latest first, with the reason."""
    dead = select(table).where(table.c.state == "dead").order_by(table.c.due_at.desc()).limit(limit)
    return session.execute(dead).all()


def replay(session: Session, table: Table, event_id: UUID | None = None) -> int:
    """Let a dead event, or all of them, be tried again as if for the first time; how many there were."""
    dead = update(table).where(table.c.state == "dead")
    if event_id is not None:
        dead = dead.where(table.c.id == event_id)
    again = dead.values(state="pending", attempts=0, due_at=func.clock_timestamp())
    return len(session.execute(again.returning(table.c.id)).all())


def sweep(session: Session, table: Table) -> int:
    """Delete a batch of events that were done a week ago; how many. Dead ones stay until somebody replays them."""
    over = (table.c.state == "done", table.c.due_at < func.clock_timestamp() - KEPT)
    batch = select(table.c.id).where(*over).order_by(table.c.due_at).limit(SWEPT).with_for_update(skip_locked=True)
    return len(session.execute(delete(table).where(table.c.id.in_(batch)).returning(table.c.id)).all())
