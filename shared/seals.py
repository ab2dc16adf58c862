"""The hash chain over the audit rows: sealed in batches behind the acts, so that no decision waits for the chain.

A seal names the rows that it covers, since rows become visible out of the order of their ids, and hashes them with the
seal before it. Whoever changes, removes or slips in a row breaks the chain; whoever takes its last seals away, or
rewrites all of it, makes a chain in which the `head` that was noted elsewhere is not met.
"""

import asyncio
import contextlib
import hashlib
import json
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any

import structlog
from pydantic import Field
from sqlalchemy import ARRAY, BigInteger, ColumnElement, Row, Select, Text, cast, func, insert, literal, select, text
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from shared.audit import Trail
from shared.database import Database
from shared.wire import Output

BATCH = 1000
TOGETHER = 25  # seals that are read at a time, with all the rows that they cover
INTERVAL = 2.0
LOOK_BACK = 10_000  # ids: so many are not taken while one transaction is open
OPEN_FOR = timedelta(minutes=1)  # longer no transaction of ours is open
START = bytes(32)
BEGINNING = datetime(1, 1, 2, tzinfo=UTC)
HEAD = "^[0-9a-f]{64}$"
Head = Annotated[str, Field(pattern=HEAD, examples=["5d" * 32])]
logger = structlog.get_logger(__name__)


class Broken(Output):
    """The first thing that is not as it was sealed."""

    event: int | None = Field(description="The id of the event, where it is one.", examples=[7])
    seal: int | None = Field(description="The number of the seal that it breaks.", examples=[3])
    why: str = Field(
        examples=["changed"],
        description="changed, missing, not-sealed, slipped-in, seal-changed or, of a noted head, head-missing.",
    )


class Verdict(Output):
    """Whether a trail is as it was written."""

    ok: bool
    events: int = Field(description="So many are sealed and in order, up to what is broken.")
    unsealed: int = Field(description="So many are waiting for the next seal, seconds away.")
    head: str | None = Field(description="The hash of the last seal in order; note it elsewhere to compare later.")
    broken: Broken | None = None


def seal(session: Session, trail: Trail) -> int:
    """Seal what is committed and not sealed, at most a thousand rows; how many. Another who seals is not waited for."""
    events, seals = trail.events, trail.seals
    lock = func.pg_try_advisory_xact_lock(func.hashtextextended(seals.fullname, 0))
    mine, now = session.execute(select(lock, func.clock_timestamp())).one()
    if not mine:
        return 0
    last = session.execute(select(seals).order_by(seals.c.number.desc()).limit(1)).first()
    floor = last.last_id - LOOK_BACK if last else 0
    rows = _not_sealed(_rows(trail), trail, seals.c.last_id > floor).where(events.c.id > floor)
    found = session.execute(rows.order_by(events.c.id).limit(BATCH)).all()
    if not found:
        return 0
    ids = [row.id for row in found]
    new = {
        "number": last.number + 1 if last else 1,
        "at": now,
        "last_id": max(ids[-1], last.last_id if last else 0),
        "ids": ids,
        "digests": [_digest(row) for row in found],
        "prev_hash": last.hash if last else START,
    }
    session.execute(insert(seals).values(**new, hash=_hash(new)))
    logger.info("audit sealed", trail=seals.schema, seal=new["number"], events=len(ids), head=_hash(new).hex())
    return len(ids)


def _rows(trail: Trail) -> Select[Any]:
    """The rows with their JSON as PostgreSQL writes it: one text for one value."""
    columns = trail.events.c
    return select(columns.id, columns.at, columns.actor, columns.action, columns.subject, cast(columns.data, Text))


def _not_sealed(query: Any, trail: Trail, *among: ColumnElement[bool]) -> Any:
    """Those of the rows asked for that none of these seals covers.

    A join: `not in` goes through all that is sealed again for each row, where that is, or is thought to be, too much
    for the server's memory.
    """
    sealed = select(func.unnest(trail.seals.c.ids).label("id")).where(*among).subquery()
    joined = query.select_from(trail.events).outerjoin(sealed, sealed.c.id == trail.events.c.id)
    return joined.where(sealed.c.id.is_(None))


def _digest(row: Row[Any]) -> bytes:
    number, at, *rest = list(row)
    return _of([number, at.isoformat(), *rest])


def _hash(values: Mapping[str, Any]) -> bytes:
    """Over every column of a seal but the hash itself."""
    return _of(
        [
            values["number"],
            values["at"].isoformat(),
            values["last_id"],
            values["ids"],
            [digest.hex() for digest in values["digests"]],
            values["prev_hash"].hex(),
        ]
    )


def _of(value: list[Any]) -> bytes:
    return hashlib.sha256(json.dumps(value).encode()).digest()


def verify(session: Session, trail: Trail, head: str | None = None) -> Verdict:
    """Go through the whole chain, up to the first thing that is not as it was sealed.

    A `head` that was noted before has to be met on the way: else what it stood for was taken away or rewritten.
    """
    session.execute(text("set local statement_timeout = '60s'"))
    count, before, reach, is_met = 0, None, Reach(), head is None
    for sealed, rows in _chain(session, trail):
        broken = _fault(sealed, before, rows, reach)
        if broken is not None:
            return Verdict(ok=False, events=count, unsealed=0, head=_head(before), broken=broken)
        count, before, is_met = count + len(sealed.ids), sealed, is_met or _head(sealed) == head
        reach = reach.with_(sealed)
    unsealed, stray = _unsealed(session, trail, reach.last_id)
    broken = None if is_met else Broken(event=None, seal=None, why="head-missing")
    if stray is not None:
        broken = Broken(event=stray, seal=None, why="not-sealed")
    return Verdict(ok=broken is None, events=count, unsealed=unsealed, head=_head(before), broken=broken)


def _chain(session: Session, trail: Trail) -> Iterator[tuple[Row[Any], Mapping[int, Row[Any]]]]:
    """The seals by number, each with the rows beside it by id: at least those that it covers and that are there."""
    number, more, last = trail.seals.c.number, True, None
    while more:
        following = () if last is None else (number > last,)
        found = session.execute(select(trail.seals).where(*following).order_by(number).limit(TOGETHER)).all()
        ids = [event for sealed in found for event in sealed.ids]
        covered = func.unnest(literal(ids, ARRAY(BigInteger))).table_valued("id").render_derived()
        rows = {row.id: row for row in session.execute(_rows(trail).join(covered, covered.c.id == trail.events.c.id))}
        yield from ((sealed, rows) for sealed in found)
        more = len(found) == TOGETHER
        last = found[-1].number if found else last


@dataclass(frozen=True)
class Reach:
    """How far the seals up to one reach: a full one leaves what is after its last row for later, others nothing."""

    last_id: int = 0
    at: datetime = BEGINNING
    complete_at: datetime = BEGINNING

    def with_(self, sealed: Row[Any]) -> "Reach":
        """With one more; what a seal says of itself takes nothing back."""
        complete_at = self.complete_at if len(sealed.ids) >= BATCH else max(self.complete_at, sealed.at)
        return Reach(max(self.last_id, sealed.last_id), max(self.at, sealed.at), complete_at)

    def should_have(self, row: Row[Any]) -> bool:
        """Whether a row, as old as it says, would have been in time for one of them."""
        return bool(row.at < (self.at if row.id <= self.last_id else self.complete_at) - OPEN_FOR)


def _fault(sealed: Row[Any], before: Row[Any] | None, rows: Mapping[int, Row[Any]], reach: Reach) -> Broken | None:
    """What is wrong with a seal, or with the rows that it covers, where those before it reach so far."""
    follows = (before.number + 1, before.hash) if before else (1, START)
    if (sealed.number, sealed.prev_hash) != follows or sealed.hash != _hash(sealed._asdict()):
        return Broken(event=None, seal=sealed.number, why="seal-changed")
    for event, digest in zip(sealed.ids, sealed.digests, strict=True):
        row = rows.get(event)
        if row is None or _digest(row) != digest:
            return Broken(event=event, seal=sealed.number, why="missing" if row is None else "changed")
        if reach.should_have(row):
            return Broken(event=event, seal=sealed.number, why="slipped-in")
    return None


def _unsealed(session: Session, trail: Trail, last_id: int) -> tuple[int, int | None]:
    """How many rows no seal covers, and the first of them that one should."""
    events = trail.events.c
    is_late = (events.at < func.clock_timestamp() - OPEN_FOR) | (events.id <= last_id - LOOK_BACK)
    due = (events.id < last_id) & is_late
    found = select(func.count(), func.min(events.id).filter(due))
    count, stray = session.execute(_not_sealed(found, trail)).one()
    return count, stray


def _head(last: Row[Any] | None) -> str | None:
    return None if last is None else last.hash.hex()


@asynccontextmanager
async def sealing(database: Database, trail: Trail) -> AsyncIterator[None]:
    """Seal every two seconds while the block runs; any number of replicas may, and one does."""
    stop = asyncio.Event()
    task = asyncio.create_task(_run(database, trail, stop))
    try:
        yield
    finally:
        stop.set()
        await task


async def _run(database: Database, trail: Trail, stop: asyncio.Event) -> None:
    while not stop.is_set():
        more = await asyncio.to_thread(_step, database, trail) >= BATCH
        if not more:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), INTERVAL)


def _step(database: Database, trail: Trail) -> int:
    try:
        with database.transaction() as session:
            return seal(session, trail)
    except SQLAlchemyError as error:  # the rows stay, and are sealed when it is back
        logger.warning("audit not sealed", trail=trail.seals.schema, error=str(error))
        return 0
