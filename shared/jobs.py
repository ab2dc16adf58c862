"""Scheduled work as rows: a run is one row per (job, slot), so that each slot is done once, whoever ticks.

Of each job one run is under way at a time, whatever its slot: a job may remember what it has read.
"""

import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import islice
from threading import Event as Flag
from threading import Lock, Thread
from typing import Any, Protocol
from uuid import UUID

import structlog
from apscheduler.triggers.cron import CronTrigger
from sqlalchemy import (
    Column,
    ColumnElement,
    MetaData,
    Select,
    Table,
    Text,
    UniqueConstraint,
    Uuid,
    func,
    or_,
    select,
    update,
)
from sqlalchemy import types as t
from sqlalchemy.dialects.postgresql import JSONB, insert
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from shared.clock import Clock, DatabaseClock
from shared.database import Database, UtcDateTime
from shared.ids import new_id
from shared.settings import ServiceSettings

logger = structlog.get_logger(__name__)
CATCH_UP = 30
FAR = timedelta(days=366)
LEASE = timedelta(minutes=1)
RENEW = 15.0
LONGEST = 900.0
LOOK_BACK = timedelta(days=31)
MAX_ATTEMPTS = 30
NEVER = datetime(9999, 1, 1, tzinfo=UTC)


class Progress(Protocol):
    """Is told of every step of a run: what was done, and how many steps of how many, where that is known."""

    def __call__(self, step: str, done: int = 0, total: int = 0, /) -> None:
        """A step was made; may raise Interrupted."""
        ...


class Interrupted(Exception):
    """The process was told to stop; the run is due again."""

    def __str__(self) -> str:
        return self.__doc__ or ""


def interrupted_by(stop: Flag) -> Progress:
    """A progress that ends the run at its next step once `stop` is set."""

    def progress(_step: str, _done: int = 0, _total: int = 0, /) -> None:
        if stop.is_set():
            raise Interrupted

    return progress


class AlreadyRunning(Exception):
    """A run of this job is under way elsewhere; wait for it. When its process died, that is a minute later."""

    def __str__(self) -> str:
        return self.__doc__ or ""


@dataclass(frozen=True)
class Outcome:
    """What a run did: counts by name, and whether (and why) something was left that another attempt may complete.

    Where `again` is false, no attempt would before the cause is mended: the run has failed and is due again after
    `rest`, or without one left to the next slot, and to people.
    """

    counts: dict[str, int] = field(default_factory=dict)
    partial: bool = False
    note: str | None = None
    again: bool = True
    rest: timedelta | None = None

    @property
    def state(self) -> str:
        """What the run has come to."""
        if not self.partial:
            return "done"
        return "partial" if self.again else "failed"


@dataclass(frozen=True)
class Job:
    """Work that is due at every slot of a cron expression (UTC); `run` is given the slot.

    `from_start` makes the latest past slot due on the very first start; otherwise the first slot is the next one.
    """

    name: str
    cron: str
    run: Callable[[datetime], Outcome]
    from_start: bool = False

    @property
    def trigger(self) -> CronTrigger:
        """The cron expression as APScheduler ticks by it."""
        return CronTrigger.from_crontab(self.cron, timezone=UTC)

    def slots(self, after: datetime, until: datetime) -> Iterator[datetime]:
        """The slots in (after, until], oldest first."""
        trigger = self.trigger
        slot = trigger.get_next_fire_time(None, after + timedelta(seconds=1))
        while slot is not None and slot <= until:
            yield slot
            slot = trigger.get_next_fire_time(slot, slot + timedelta(seconds=1))


@dataclass(frozen=True)
class Chore:
    """Work that is done at every tick, by whoever ticks: its own rows say what is due, and are claimed there.

    `run` is given the service's settings and database; what it leaves, or fails at, the next tick does.
    """

    name: str
    seconds: int
    run: Callable[[ServiceSettings, Database], None]


def job_runs_table(metadata: MetaData) -> Table:
    """The service's runs: `due`, `running` under a lease (`due_at` is its end), then `done`, `partial` or `failed`."""
    return Table(
        "job_runs",
        metadata,
        Column("id", Uuid, primary_key=True),
        Column("job", Text, nullable=False),
        Column("slot", UtcDateTime, nullable=False),
        Column("state", Text, nullable=False, server_default="due"),
        Column("attempts", t.Integer, nullable=False, server_default="0"),
        Column("due_at", UtcDateTime, nullable=False, server_default=func.clock_timestamp()),
        Column("started_at", UtcDateTime),
        Column("finished_at", UtcDateTime),
        Column("counts", JSONB, nullable=False, server_default="{}"),
        Column("error", Text),
        Column("requested_by", Text),
        UniqueConstraint("job", "slot"),
    )


@dataclass(frozen=True)
class Claim:
    """A run under way here; the attempt tells it from one that took over."""

    id: UUID
    job: Job
    slot: datetime
    attempt: int


class JobRuns:
    """The runs of a service's jobs, in its own schema."""

    def __init__(
        self,
        database: Database,
        table: Table,
        jobs: tuple[Job, ...],
        clock: Clock | None = None,
        *,
        renew: float = RENEW,
    ) -> None:
        self._renew = renew
        self._database = database
        self._table = table
        self._jobs = {job.name: job for job in jobs}
        self._clock = clock or DatabaseClock()
        self._working = Lock()

    def ensure_due_runs(self) -> None:
        """Write a due run for every slot since the first that lacks one, of the 30 newest of each job."""
        with self._database.transaction() as session:
            now = self._clock.now(session)
            for job in self._jobs.values():
                for slot in self._missing(session, job, now):
                    request_run(session, self._table, job.name, slot, due_at=slot if slot > now else None)

    def _missing(self, session: Session, job: Job, now: datetime) -> list[datetime]:
        table = self._table
        # what a person asked for says nothing of the schedule: it may lie anywhere
        planned = (table.c.job == job.name, table.c.requested_by.is_(None))
        first = session.execute(select(func.min(table.c.slot)).where(*planned)).scalar()
        if first is not None:
            start = max(first, now - LOOK_BACK)
            known = set(session.scalars(select(table.c.slot).where(table.c.job == job.name, table.c.slot > start)))
            newest = deque(job.slots(start, now), maxlen=CATCH_UP)  # else each call would go further back
            return [slot for slot in newest if slot not in known]
        if job.from_start:
            return list(job.slots(now - timedelta(days=1), now))[-1:]
        return list(islice(job.slots(now, now + FAR), 1))

    def run_due(self) -> int:
        """Run what is due, oldest slot first, until nothing is; how many runs were made.

        None, at once, where this is being done already.
        """
        made = 0
        if not self._working.acquire(blocking=False):
            return made
        try:
            while (claimed := self._claim()) is not None:
                made += 1
                if not self._run(claimed):
                    break
        finally:
            self._working.release()
        return made

    def wait_idle(self, seconds: float) -> bool:
        """Wait for the run under way here; whether there is none any more."""
        idle = self._working.acquire(timeout=seconds)
        if idle:
            self._working.release()
        return idle

    def _claim(self) -> Claim | None:
        with self._database.transaction() as session:
            return self._claimed(session)

    def _claimed(self, session: Session) -> Claim | None:
        self._take_turns(session)
        self._give_up(session)
        table = self._table
        due = (
            select(table.c.id)
            .where(
                table.c.state != "done",
                table.c.attempts < MAX_ATTEMPTS,
                table.c.due_at <= func.clock_timestamp(),
                table.c.job.in_(self._jobs),
                table.c.job.not_in(self._under_way()),
            )
            .order_by(table.c.slot)
            .limit(1)
            .with_for_update(skip_locked=True)
        )
        return self._begin(session, table.c.id == due.scalar_subquery())

    def _take_turns(self, session: Session) -> None:
        """One claim after another: two at once would not see each other's runs."""
        name = f"{self._table.fullname}/claim"
        session.execute(select(func.pg_advisory_xact_lock(func.hashtextextended(name, 0))))

    def _under_way(self) -> Select[str]:
        """The jobs of which somebody has a run."""
        other = self._table.alias()
        return select(other.c.job).where(other.c.state == "running", other.c.due_at > func.clock_timestamp())

    def _give_up(self, session: Session) -> None:
        """A run that was killed in its last attempt has failed."""
        table = self._table
        killed = (table.c.state == "running", table.c.attempts >= MAX_ATTEMPTS)
        over = update(table).where(*killed, table.c.due_at <= func.clock_timestamp())
        session.execute(over.values(state="failed", error="killed in its last attempt"))

    def _begin(self, session: Session, *which: ColumnElement[bool]) -> Claim | None:
        table, now = self._table, func.clock_timestamp()
        values = {"attempts": table.c.attempts + 1, "state": "running", "started_at": now, "due_at": now + LEASE}
        claim = update(table).where(*which).values(**values, finished_at=None)
        row = session.execute(claim.returning(table.c.id, table.c.job, table.c.slot, table.c.attempts)).first()
        return None if row is None else Claim(row.id, self._jobs[row.job], row.slot, row.attempts)

    def run_now(self, name: str, slot: datetime) -> Outcome:
        """Run one slot here, also one that was done; raises AlreadyRunning, and whatever the job fails with."""
        with self._database.transaction() as session:
            self._take_turns(session)
            run_id = request_run(session, self._table, name, slot, requested_by="operator")
            claim = self._begin(session, self._table.c.id == run_id, self._table.c.job.not_in(self._under_way()))
            if claim is None:  # raised in here, so that nothing is queued either
                raise AlreadyRunning
        return self._attempt(claim)

    def _run(self, claim: Claim) -> bool:
        """Whether to go on with the next one."""
        try:
            self._attempt(claim)
        except Interrupted:
            return False
        except Exception:
            logger.exception("job failed", job=claim.job.name, slot=claim.slot.isoformat())
        return True

    def _attempt(self, claim: Claim) -> Outcome:
        try:
            with self._renewed(claim):
                outcome = claim.job.run(claim.slot)
        except Interrupted as error:
            self._finish(claim, "due", {}, str(error), counted=False)
            raise
        except BaseException as error:  # an interrupted run too: it is due again, without waiting for its lease to end
            self._finish(claim, "failed", {}, _reason(error))
            raise
        self._finish(claim, outcome.state, outcome.counts, outcome.note, again=outcome.again, rest=outcome.rest)
        return outcome

    @contextmanager
    def _renewed(self, claim: Claim) -> Iterator[None]:
        """Lengthen the run's lease while the block runs, from a thread, so that it ends soon after its process does.

        A run that hangs loses it after a quarter of an hour all the same.
        """
        over, until = Flag(), time.monotonic() + LONGEST

        def renew() -> None:
            while not over.wait(self._renew) and time.monotonic() < until:
                with suppress(SQLAlchemyError), self._database.transaction() as session:
                    lease = {"due_at": func.clock_timestamp() + LEASE}
                    session.execute(update(self._table).where(*self._own(claim)).values(lease))

        thread = Thread(target=renew, daemon=True)
        thread.start()
        try:
            yield
        finally:
            over.set()
            thread.join()

    def _own(self, claim: Claim) -> tuple[ColumnElement[bool], ...]:
        table = self._table
        return table.c.id == claim.id, table.c.state == "running", table.c.attempts == claim.attempt

    def _finish(
        self,
        claim: Claim,
        state: str,
        counts: dict[str, int],
        error: str | None,
        *,
        counted: bool = True,
        again: bool = True,
        rest: timedelta | None = None,
    ) -> None:
        """Record the outcome, unless the lease ran out and another attempt took over.

        What is not done is due again after a while that grows to an hour with each attempt that counts; what is not to
        be tried again soon, after its rest.
        """
        table, now = self._table, func.clock_timestamp()
        wait: timedelta | None = min(claim.attempt**2 * timedelta(seconds=30), timedelta(hours=1))
        wait = wait if again else rest
        due: dict[str, Any] = {"due_at": NEVER if wait is None else now + wait}
        if not counted:
            due = {"due_at": now, "attempts": claim.attempt - 1}
        values = {"state": state, "finished_at": now, "counts": counts, "error": error, **due}
        with self._database.transaction() as session:
            session.execute(update(table).where(*self._own(claim)).values(values))


def at_rest(table: Table) -> ColumnElement[bool]:
    """The runs that nobody is at; one whose process died counts when its lease is over."""
    return or_(table.c.state != "running", table.c.due_at <= func.clock_timestamp())


def _reason(error: BaseException) -> str:
    """What PostgreSQL can hold of an error's text: no NUL, no lone surrogate."""
    text = f"{type(error).__name__}: {error}".replace("\0", "\\0")
    return text.encode(errors="backslashreplace").decode()[:2000]


def request_run(
    session: Session,
    table: Table,
    job: str,
    slot: datetime,
    *,
    due_at: datetime | None = None,
    requested_by: str | None = None,
) -> UUID:
    """The run of this job and slot, written as due, now unless said otherwise, if there is none yet.

    `requested_by` is the person who asks for it; the schedule itself is nobody.
    """
    values = {"id": new_id(), "job": job, "slot": slot, "requested_by": requested_by}
    values["due_at"] = due_at or func.clock_timestamp()
    session.execute(insert(table).values(values).on_conflict_do_nothing())
    run_id: UUID = session.execute(select(table.c.id).where(table.c.job == job, table.c.slot == slot)).scalar_one()
    return run_id


def job_gauges(table: Table, session: Session) -> dict[str, float]:
    """For how many seconds the oldest slot has been due or at work, and how many runs failed with none done since."""
    age = func.extract("epoch", func.clock_timestamp() - func.min(table.c.slot))
    oldest = session.execute(select(age).where(table.c.state.in_(("due", "running")))).scalar()
    later = table.alias()
    mended = select(later.c.id).where(later.c.job == table.c.job, later.c.slot > table.c.slot, later.c.state == "done")
    lasting = select(func.count()).where(table.c.state == "failed", ~mended.exists())
    failed = session.execute(lasting).scalar_one()
    return {"job_oldest_seconds": max(float(oldest or 0), 0.0), "job_failed": failed}
