"""Scheduled work as rows: a run is one row per (job, slot), so that each slot is done once, whoever ticks."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import islice
from threading import Event as Flag
from threading import Lock
from typing import Any
from uuid import UUID

import structlog
from apscheduler.triggers.cron import CronTrigger
from sqlalchemy import Column, ColumnElement, MetaData, Table, Text, UniqueConstraint, Uuid, func, or_, select, update
from sqlalchemy import types as t
from sqlalchemy.dialects.postgresql import JSONB, insert
from sqlalchemy.orm import Session

from shared.clock import Clock, DatabaseClock
from shared.database import Database, UtcDateTime
from shared.ids import new_id
from shared.settings import ServiceSettings

logger = structlog.get_logger(__name__)
CATCH_UP = 30
FAR = timedelta(days=366)
LEASE = timedelta(minutes=15)
LOOK_BACK = timedelta(days=31)
MAX_ATTEMPTS = 30
Progress = Callable[[str], None]


class Interrupted(Exception):
    """The process was told to stop; the run is due again."""

    def __str__(self) -> str:
        return self.__doc__ or ""


def interrupted_by(stop: Flag) -> Progress:
    """A progress that ends the run at its next step once `stop` is set."""

    def progress(_step: str) -> None:
        if stop.is_set():
            raise Interrupted

    return progress


class AlreadyRunning(Exception):
    """This run is under way elsewhere; wait for it, or ask again when its lease of 15 minutes is over."""

    def __str__(self) -> str:
        return self.__doc__ or ""


@dataclass(frozen=True)
class Outcome:
    """What a run did: counts by name, and whether (and why) something was left that another attempt may complete."""

    counts: dict[str, int] = field(default_factory=dict)
    partial: bool = False
    note: str | None = None


@dataclass(frozen=True)
class Job:
    """Work that is due at every slot of a cron expression (UTC); `run` is given the slot.

    `from_start` makes the latest past slot due on the very first start; otherwise the first slot is the next one.
    """

    name: str
    cron: str
    run: Callable[[datetime], Outcome]
    from_start: bool = False

    def slots(self, after: datetime, until: datetime) -> Iterator[datetime]:
        """The slots in (after, until], oldest first."""
        trigger = CronTrigger.from_crontab(self.cron, timezone=UTC)
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
    """The service's runs: `due`, `running` under a lease, then `done`, `partial` or `failed`."""
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

    def __init__(self, database: Database, table: Table, jobs: tuple[Job, ...], clock: Clock | None = None) -> None:
        self._database = database
        self._table = table
        self._jobs = {job.name: job for job in jobs}
        self._clock = clock or DatabaseClock()
        self._working = Lock()

    def ensure_due_runs(self) -> None:
        """Write a due run for every slot that lacks one since the first, at most 30 of each job, the newest of them."""
        with self._database.transaction() as session:
            now = self._clock.now(session)
            for job in self._jobs.values():
                for slot in self._missing(session, job, now)[-CATCH_UP:]:
                    request_run(session, self._table, job.name, slot, due_at=slot if slot > now else None)

    def _missing(self, session: Session, job: Job, now: datetime) -> list[datetime]:
        table = self._table
        # what a person asked for says nothing of the schedule: it may lie anywhere
        planned = (table.c.job == job.name, table.c.requested_by.is_(None))
        first = session.execute(select(func.min(table.c.slot)).where(*planned)).scalar()
        if first is not None:
            return list(job.slots(max(first, now - LOOK_BACK), now))
        if job.from_start:
            return list(job.slots(now - timedelta(days=1), now))[-1:]
        return list(islice(job.slots(now, now + FAR), 1))

    def run_due(self) -> int:
        """Run what is due, oldest slot first, until nothing is; how many runs were made."""
        made = 0
        with self._working:
            while (claimed := self._claim()) is not None:
                made += 1
                if not self._run(claimed):
                    break
        return made

    def wait_idle(self, seconds: float) -> bool:
        """Wait for the run under way here; whether there is none any more."""
        idle = self._working.acquire(timeout=seconds)
        if idle:
            self._working.release()
        return idle

    def _claim(self) -> Claim | None:
        table = self._table
        with self._database.transaction() as session:
            self._give_up(session)
            due = (
                select(table.c.id)
                .where(
                    table.c.state != "done",
                    table.c.attempts < MAX_ATTEMPTS,
                    table.c.due_at <= func.clock_timestamp(),
                    table.c.job.in_(self._jobs),
                )
                .order_by(table.c.slot)
                .limit(1)
                .with_for_update(skip_locked=True)
            )
            return self._begin(session, table.c.id == due.scalar_subquery())

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
            run_id = request_run(session, self._table, name, slot, requested_by="operator")
            claim = self._begin(session, self._table.c.id == run_id, at_rest(self._table))
        if claim is None:
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
            outcome = claim.job.run(claim.slot)
        except Interrupted as error:
            self._finish(claim, "due", {}, str(error), counted=False)
            raise
        except BaseException as error:  # an interrupted run too: it is due again, without waiting for its lease to end
            self._finish(claim, "failed", {}, _reason(error))
            raise
        self._finish(claim, "partial" if outcome.partial else "done", outcome.counts, outcome.note)
        return outcome

    def _finish(
        self,
        claim: Claim,
        state: str,
        counts: dict[str, int],
        error: str | None,
        *,
        counted: bool = True,
    ) -> None:
        """Record the outcome, unless the lease ran out and another attempt took over.

        What is not done is due again after a while that grows to an hour with each attempt that counts.
        """
        table, now = self._table, func.clock_timestamp()
        again: dict[str, Any] = {"due_at": now + min(claim.attempt**2 * timedelta(seconds=30), timedelta(hours=1))}
        if not counted:
            again = {"due_at": now, "attempts": claim.attempt - 1}
        values = {"state": state, "finished_at": now, "counts": counts, "error": error, **again}
        own = (table.c.id == claim.id, table.c.state == "running", table.c.attempts == claim.attempt)
        with self._database.transaction() as session:
            session.execute(update(table).where(*own).values(values))


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
