"""The owner's side: counts the changes after which an answer could become no, tells them, and waits them out."""

import asyncio
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    MetaData,
    ScalarSelect,
    Select,
    Table,
    Text,
    Uuid,
    event,
    func,
    literal,
    select,
    text,
    true,
)
from sqlalchemy.orm import Session

from shared.coherence.stamp import MARGIN, WINDOW, Changes, Stamp, boottime
from shared.database import Database, UtcDateTime

KEPT = "1 hour"
NAMES, CHANGED = "coherence.names", "coherence.changed"


@dataclass(frozen=True)
class Feed:
    """An owner's tables: `counter` is one row (a row and not a sequence: its lock makes numbers commit in order)."""

    counter: Table
    changes: Table


def feed_tables(metadata: MetaData) -> Feed:
    """The counter with its epoch, and the changes: which name changed at which number."""
    counter = Table(
        "coherence",
        metadata,
        Column("single", Boolean, primary_key=True, server_default=true()),
        Column("epoch", Uuid, nullable=False, server_default=text("gen_random_uuid()")),
        Column("number", BigInteger, nullable=False, server_default="0"),
        Column("floor", BigInteger, nullable=False, server_default="0"),
        CheckConstraint("single", name="single"),
    )
    changes = Table(
        "changes",
        metadata,
        Column("number", BigInteger, primary_key=True, autoincrement=False),
        Column("name", Text, primary_key=True),
        Column("at", UtcDateTime, nullable=False, server_default=func.clock_timestamp()),
    )
    return Feed(counter, changes)


def raise_change(session: Session, feed: Feed, names: Iterable[str]) -> None:
    """Say in the caller's transaction that answers about these names may have become no, or end earlier.

    Names are of cells and keys, never of grants: a cell outlives its grants. The count is raised as the transaction's
    last statement, whenever this is called: its row's lock is then held for a moment only, and is always the last one
    taken. What a request raised is waited out before it answers.
    """
    must_settle(session)
    known: dict[Feed, set[str]] = session.info.setdefault(NAMES, {})
    if not event.contains(session, "before_commit", _raise):
        event.listen(session, "before_commit", _raise)
    known.setdefault(feed, set()).update(names)


def must_settle(session: Session) -> None:
    """Have the request that this session serves wait before it answers: for a repeat, that only sees what is closed."""
    session.info[CHANGED] = True


def is_settling(session: Session) -> bool:
    """Whether what this session did has to be waited out."""
    return bool(session.info.get(CHANGED))


async def settle(clock: Callable[[], float] = boottime) -> None:
    """Return when no replica trusts any more what it knew at the call; made after the commit was acknowledged.

    Nothing is held meanwhile, and nobody needs to know who the replicas are.
    """
    end = clock() + WINDOW + MARGIN
    while (left := end - clock()) > 0:  # noqa: ASYNC110 - an event loop's timer may fire early
        await asyncio.sleep(left)


def _raise(session: Session) -> None:
    if session.in_nested_transaction():  # a savepoint's end is not the transaction's
        return
    session.flush()
    known: dict[Feed, set[str]] = session.info.pop(NAMES, {})
    for feed, names in known.items():
        session.execute(_raising(feed), {"names": sorted(names)})


def _raising(feed: Feed) -> Any:
    """One statement: count, write the change under its number, and trim what is older than an hour."""
    counter, changes = feed.counter.fullname, feed.changes.fullname
    return text(f"""
        with raised as (
            update {counter} set number = number + 1, floor = greatest(floor, (
                select max(number) from {changes} where at < clock_timestamp() - interval '{KEPT}'
            )) returning number, floor
        ), trimmed as (
            delete from {changes} using raised where {changes}.number <= raised.floor
        )
        insert into {changes} (number, name) select raised.number, unnest(cast(:names as text[])) from raised
    """)  # noqa: S608 - the tables' own names


def stamp_columns(feed: Feed) -> tuple[ScalarSelect[UUID], ScalarSelect[int]]:
    """Epoch and number as columns of the statement that reads a fact: of its snapshot, so neither older nor newer."""
    counter = feed.counter
    return select(counter.c.epoch).scalar_subquery(), select(counter.c.number).scalar_subquery()


def stamp_of(epoch: UUID | None, number: int | None) -> Stamp | None:
    """The stamp that was read with a fact."""
    return None if epoch is None or number is None else Stamp(epoch, number)


def changes_query(feed: Feed, *, after: int, epoch: UUID | None) -> Select[Any]:
    """One statement, so one snapshot: epoch, number, floor, the names changed after `after`, the database's time.

    To another epoch no names are told: that replica drops everything. No owner answers this from a memory.
    """
    counter, changes = feed.counter, feed.changes
    known = literal(epoch, Uuid) == counter.c.epoch
    names = select(func.array_agg(changes.c.name.distinct())).where(changes.c.number > after, known)
    return select(
        counter.c.epoch,
        counter.c.number,
        counter.c.floor,
        names.correlate(counter).scalar_subquery(),
        func.clock_timestamp(),
    )


def changes_since(database: Database, feed: Feed, *, after: int, epoch: UUID | None) -> Changes:
    """The answer to a replica's question, from a snapshot that begins now, after the question arrived."""
    with database.engine.connect() as connection:
        row = connection.execute(changes_query(feed, after=after, epoch=epoch)).one()
    return Changes(epoch=row[0], number=row[1], floor=row[2], names=row[3] or [], now=row[4])
