"""Reads and asks for runs of the jobs, and keeps how far the feeds are, what they distrust and what they cost."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Any
from uuid import UUID

from sqlalchemy import RowMapping, delete, func, select, text, tuple_, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session
from sqlmodel import col

from services.pricing.database import job_runs
from services.pricing.feeds.entities import Position, Quarantined, Rejected, Sample, Suspect, Upstream
from services.pricing.feeds.errors import UNREADABLE
from shared.jobs import at_rest, request_run

KEPT = timedelta(days=90)
A_PAGE = 100
GAUGES = """
select
    (select count(*) from pricing.quarantine) as feed_quarantined,
    (select count(*) from pricing.quarantine where last_seen_at > clock_timestamp() - interval '1 day')
        as feed_quarantined_day,
    (select count(*) from pricing.suspect_prices) as feed_suspect,
    (select count(*) from pricing.feed_positions where failed_at is not null) as feed_failed,
    (select count(*) from pricing.feed_positions as series where exists (
        select from pricing.quarantine as wrong
        where wrong.dataset = series.dataset and wrong.frequency = series.frequency
            and (wrong.last_seen_at >= series.failed_at or (wrong.reason = :unreadable
                and series.frequency <> 'cap' and wrong.last_seen_at >= series.tried_at)))) as feed_drifted,
    (select coalesce(max(failures), 0) from pricing.upstreams) as upstream_failures,
    (select count(*) from pricing.upstreams where open_until > clock_timestamp()) as upstream_open
"""
CREDITS = """
select min(allowance - case when month = date_trunc('month', clock_timestamp() at time zone 'UTC')::date
    then credits else 0 end) from pricing.upstreams
"""
NOT_RUN_YET: dict[str, Any] = {"started_at": None, "finished_at": None, "counts": {}, "error": None}


class RunRepository:
    """The runs in one transaction."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def page(self, *, job: str | None, before: tuple[datetime, UUID] | None, limit: int) -> Sequence[RowMapping]:
        """At most `limit` runs, latest slot first, after the one at `before`."""
        position = tuple_(job_runs.c.slot, job_runs.c.id)
        query = select(job_runs).order_by(job_runs.c.slot.desc(), job_runs.c.id.desc())
        if job is not None:
            query = query.where(job_runs.c.job == job)
        if before is not None:
            query = query.where(position < before)
        return self._session.execute(query.limit(limit)).mappings().all()

    def make_due(self, job: str, slot: datetime, *, requested_by: str) -> RowMapping:
        """The run of this slot, due now; one that is under way is left alone."""
        run_id = request_run(self._session, job_runs, job, slot, requested_by=requested_by)
        again: dict[str, Any] = {"state": "due", "attempts": 0, "due_at": func.clock_timestamp(), **NOT_RUN_YET}
        self._session.execute(update(job_runs).where(job_runs.c.id == run_id, at_rest(job_runs)).values(again))
        return self._session.execute(select(job_runs).where(job_runs.c.id == run_id)).mappings().one()


class FeedRepository:
    """One series' position, suspects and quarantine, in one transaction."""

    def __init__(self, session: Session, dataset: str, frequency: str) -> None:
        self._session = session
        self._dataset = dataset
        self._frequency = frequency

    def position(self, source: str) -> Position | None:
        """How far this source was asked; what another one was asked for says nothing of it."""
        found = self._session.get(Position, (self._dataset, self._frequency), populate_existing=True)
        return found if found and found.source == source else None

    def keep(self, position: Position) -> None:
        """Write the position, over whatever stands there."""
        new = insert(Position).values(position.model_dump())
        changed = {name: new.excluded[name] for name in position.model_dump() if name not in ("dataset", "frequency")}
        self._session.execute(new.on_conflict_do_update(index_elements=["dataset", "frequency"], set_=changed))

    def suspects(self, *, start: datetime, end: datetime) -> Mapping[datetime, Suspect]:
        """What was suspect in [start, end), by its time."""
        query = select(Suspect).where(*self._of(Suspect), col(Suspect.timestamp) >= start)
        return {row.timestamp: row for row in self._session.scalars(query.where(col(Suspect.timestamp) < end))}

    def suspect(self, suspects: Iterable[tuple[Sample, int]], *, seen_at: datetime) -> None:
        """Keep suspect prices, each with how often it was looked at."""
        for sample, looks in suspects:
            row = Suspect(
                dataset=self._dataset,
                frequency=self._frequency,
                timestamp=sample.timestamp,
                price_usd=sample.price,
                looks=looks,
                seen_at=seen_at,
            )
            new = insert(Suspect).values(row.model_dump())
            changed = {name: new.excluded[name] for name in ("price_usd", "looks", "seen_at")}
            key = ["dataset", "frequency", "timestamp"]
            self._session.execute(new.on_conflict_do_update(index_elements=key, set_=changed))

    def clear(self, trusted: Iterable[datetime]) -> None:
        """What was suspect at these times is so no longer."""
        if times := list(trusted):
            self._session.execute(delete(Suspect).where(*self._of(Suspect), col(Suspect.timestamp).in_(times)))

    def quarantine(self, rejected: Sequence[Rejected], *, source: str, seen_at: datetime) -> int:
        """Keep what was rejected, the first hundred of a page; how much of it is new."""
        times = [self._quarantined(item, source, seen_at) for item in dict.fromkeys(rejected[:A_PAGE])]
        return times.count(1)

    def _quarantined(self, item: Rejected, source: str, seen_at: datetime) -> int:
        row = Quarantined(
            dataset=self._dataset,
            frequency=self._frequency,
            digest=sha256(f"{source}\n{item.reason}\n{item.raw}".encode()).hexdigest(),
            source=source,
            reason=item.reason,
            raw=item.raw,
            times=1,
            first_seen_at=seen_at,
            last_seen_at=seen_at,
        )
        again = {"times": Quarantined.times + 1, "last_seen_at": seen_at}
        new = insert(Quarantined).values(row.model_dump())
        new = new.on_conflict_do_update(index_elements=["dataset", "frequency", "digest"], set_=again)
        return self._session.scalars(new.returning(col(Quarantined.times))).one()

    def _of(self, table: type[Suspect]) -> tuple[Any, ...]:
        return col(table.dataset) == self._dataset, col(table.frequency) == self._frequency


def forget_rejected(session: Session, now: datetime) -> None:
    """Let go of what was last rejected more than 90 days ago."""
    session.execute(delete(Quarantined).where(col(Quarantined.last_seen_at) < now - KEPT))


def lock_account(session: Session, source: str, now: datetime) -> Upstream:
    """A source's account, made where there is none, held until the transaction ends."""
    start = Upstream(
        source=source, month=now.date(), credits=0, allowance=0, minute=now, calls=0, failures=0, open_until=None
    )
    session.execute(insert(Upstream).values(start.model_dump()).on_conflict_do_nothing())
    held = select(Upstream).where(col(Upstream.source) == source).with_for_update()
    return session.scalars(held.execution_options(populate_existing=True)).one()


def feed_gauges(session: Session) -> dict[str, float]:
    """What was distrusted, which series failed and drifted, and how it stands with the sources; credits once called.

    A series has drifted while its last answer failed and had something in it that went to quarantine. What is no JSON
    may pass, so prices are asked for again and have not failed for good; then it counts until the next try.
    """
    found: dict[str, float] = dict(session.execute(text(GAUGES), {"unreadable": UNREADABLE}).mappings().one())
    left = session.execute(text(CREDITS)).scalar()
    return found if left is None else {**found, "upstream_credits_left": left}
