"""Each slot of a job is done once, whoever ticks; what was missed is caught up, what failed is tried again later."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy.orm import Session

from shared.jobs import (
    CATCH_UP,
    MAX_ATTEMPTS,
    AlreadyRunning,
    Interrupted,
    Job,
    JobRuns,
    Outcome,
    interrupted_by,
    request_run,
)
from tests.shared.ground import Ground, job_runs

DAILY = "0 20 * * *"
MOMENT = datetime(2026, 3, 29, 20, tzinfo=UTC)  # a night on which Europe's clocks change
DUE_AGAIN = "update ground.job_runs set due_at = clock_timestamp()"


class Hand:
    """A clock whose hand a test moves."""

    def __init__(self, at: datetime) -> None:
        self.at = at

    def now(self, _session: Session) -> datetime:
        """Where the hand is."""
        return self.at


class Work:
    """A job's work, remembered."""

    def __init__(self, outcome: Outcome | Exception | None = None) -> None:
        self.slots: list[datetime] = []
        self.outcome = outcome or Outcome(counts={"rows": 24})

    def __call__(self, slot: datetime) -> Outcome:
        self.slots.append(slot)
        if isinstance(self.outcome, Exception):
            raise self.outcome
        return self.outcome


def nothing(_slot: datetime) -> Outcome:
    """A job that does nothing."""
    return Outcome()


def job(run: Callable[[datetime], Outcome] = nothing, *, cron: str = DAILY, from_start: bool = True) -> Job:
    """A daily job, unless said otherwise."""
    return Job(name="sync", cron=cron, run=run, from_start=from_start)


def days(first: int, last: int) -> list[datetime]:
    """Eight in the evening of these days, counted from MOMENT."""
    return [MOMENT + timedelta(days=day) for day in range(first, last + 1)]


@pytest.mark.parametrize(
    ("cron", "after", "until", "slots"),
    [
        (DAILY, "2026-03-28T20:00:00", "2026-03-29T20:00:00", ["2026-03-29T20:00:00"]),
        (DAILY, "2026-03-28T20:00:00", "2026-03-29T19:59:59", []),
        (DAILY, "2026-03-28T19:59:59", "2026-03-28T20:00:00", ["2026-03-28T20:00:00"]),
        (
            DAILY,
            "2026-02-27T00:00:00",
            "2026-03-01T23:00:00",
            ["2026-02-27T20:00:00", "2026-02-28T20:00:00", "2026-03-01T20:00:00"],
        ),
        (DAILY, "2024-02-28T21:00:00", "2024-03-01T00:00:00", ["2024-02-29T20:00:00"]),
        ("30 1 * * *", "2026-03-28T12:00:00", "2026-03-30T12:00:00", ["2026-03-29T01:30:00", "2026-03-30T01:30:00"]),
        ("30 1 * * *", "2026-10-24T12:00:00", "2026-10-26T12:00:00", ["2026-10-25T01:30:00", "2026-10-26T01:30:00"]),
        ("0 0 1 * *", "2025-12-01T00:00:00", "2026-02-01T00:00:00", ["2026-01-01T00:00:00", "2026-02-01T00:00:00"]),
        (
            "*/20 * * * *",
            "2026-01-01T00:00:00",
            "2026-01-01T01:00:00",
            ["2026-01-01T00:20:00", "2026-01-01T00:40:00", "2026-01-01T01:00:00"],
        ),
        (DAILY, "2026-03-29T20:00:00", "2026-03-29T20:00:00", []),
    ],
)
def test_slots_are_in_utc_after_the_first_instant_and_up_to_the_last(
    cron: str, after: str, until: str, slots: list[str]
) -> None:
    def at(text: str) -> datetime:
        return datetime.fromisoformat(text).replace(tzinfo=UTC)

    assert list(job(cron=cron).slots(at(after), at(until))) == [at(slot) for slot in slots]


def test_a_job_that_runs_from_the_start_is_due_for_its_latest_slot(ground: Ground) -> None:
    work = Work()
    runs = JobRuns(ground.database, job_runs, (job(work),), Hand(MOMENT + timedelta(hours=23)))
    runs.ensure_due_runs()
    runs.ensure_due_runs()

    assert runs.run_due() == 1
    assert work.slots == [MOMENT]


def test_any_other_job_is_first_due_at_its_next_slot_also_after_a_restart(ground: Ground) -> None:
    work, hand = Work(), Hand(datetime.now(UTC).replace(microsecond=0))
    every_minute = job(work, cron="* * * * *", from_start=False)
    runs = JobRuns(ground.database, job_runs, (every_minute,), hand)
    runs.ensure_due_runs()
    assert runs.run_due() == 0

    ((slot,),) = ground.sql("select slot from ground.job_runs")
    assert isinstance(slot, datetime)
    assert hand.at < slot <= hand.at + timedelta(minutes=1)
    hand.at = slot
    restarted = JobRuns(ground.database, job_runs, (every_minute,), hand)
    restarted.ensure_due_runs()
    ground.sql(DUE_AGAIN)
    assert restarted.run_due() == 1
    assert work.slots == [slot]


def test_missed_slots_are_run_once_each_oldest_first(ground: Ground) -> None:
    work, hand = Work(), Hand(MOMENT)
    runs = JobRuns(ground.database, job_runs, (job(work),), hand)
    runs.ensure_due_runs()
    hand.at = MOMENT + timedelta(days=3, seconds=5)
    runs.ensure_due_runs()

    assert runs.run_due() == 4
    assert work.slots == days(0, 3)
    runs.ensure_due_runs()
    assert runs.run_due() == 0


def test_at_most_thirty_slots_are_caught_up_the_newest_of_them(ground: Ground) -> None:
    work, hand = Work(), Hand(MOMENT)
    runs = JobRuns(ground.database, job_runs, (job(work),), hand)
    runs.ensure_due_runs()
    runs.run_due()
    hand.at = MOMENT + timedelta(days=45)
    runs.ensure_due_runs()

    assert runs.run_due() == CATCH_UP
    assert work.slots[1:] == days(16, 45)


def test_a_year_with_outages_does_each_slot_once(ground: Ground) -> None:
    work, hand = Work(), Hand(MOMENT)
    for step in range(60):  # a process of its own each time, away for up to eleven days
        hand.at = MOMENT + timedelta(days=6 * step + step % 6)
        runs = JobRuns(ground.database, job_runs, (job(work),), hand)
        runs.ensure_due_runs()
        runs.run_due()

    assert work.slots == days(0, 6 * 59 + 5)


def test_two_runners_at_the_same_moment_do_a_slot_once(ground: Ground) -> None:
    work, start = Work(), threading.Barrier(4)
    hand = Hand(MOMENT)
    JobRuns(ground.database, job_runs, (job(work),), hand).ensure_due_runs()
    hand.at = MOMENT + timedelta(days=9)

    def tick(_: int) -> int:
        runs = JobRuns(ground.database, job_runs, (job(work),), hand)
        start.wait()
        runs.ensure_due_runs()
        return runs.run_due()

    with ThreadPoolExecutor(4) as pool:
        assert sum(pool.map(tick, range(4))) == 10
    assert sorted(work.slots) == days(0, 9)


def test_a_run_whose_process_was_killed_is_taken_up_when_its_lease_is_over(ground: Ground) -> None:
    work = Work()
    runs = JobRuns(ground.database, job_runs, (job(work),), Hand(MOMENT))
    runs.ensure_due_runs()
    assert runs._claim() is not None  # and then kill -9

    assert runs.run_due() == 0
    ground.sql(DUE_AGAIN)
    assert runs.run_due() == 1
    assert ground.sql("select state, attempts from ground.job_runs") == [("done", 2)]


def test_a_failing_job_is_recorded_and_tried_again_later_while_others_go_on(ground: Ground) -> None:
    failing, fine = Work(LookupError("no use")), Work()
    jobs = (job(failing), Job(name="other", cron=DAILY, run=fine, from_start=True))
    runs = JobRuns(ground.database, job_runs, jobs, Hand(MOMENT))
    runs.ensure_due_runs()

    assert runs.run_due() == 2
    assert fine.slots == [MOMENT]
    run = "select state, attempts, error from ground.job_runs where job = 'sync'"
    assert ground.sql(run) == [("failed", 1, "LookupError: no use")]
    assert runs.run_due() == 0
    for attempt in range(2, MAX_ATTEMPTS + 1):
        ground.sql(DUE_AGAIN)
        assert runs.run_due() == 1
        wait = "select extract(epoch from due_at - finished_at)::int from ground.job_runs where job = 'sync'"
        assert ground.sql(wait) == [(30 * attempt * attempt,)]
    ground.sql(DUE_AGAIN)
    assert runs.run_due() == 0
    assert ground.sql(run) == [("failed", 5, "LookupError: no use")]


def test_a_partial_outcome_keeps_its_counts_and_is_completed_later(ground: Ground) -> None:
    work = Work(Outcome(counts={"rows": 12}, partial=True, note="the upstream is away"))
    runs = JobRuns(ground.database, job_runs, (job(work),), Hand(MOMENT))
    runs.ensure_due_runs()
    runs.run_due()
    kept = "select state, counts, error from ground.job_runs"
    assert ground.sql(kept) == [("partial", {"rows": 12}, "the upstream is away")]

    work.outcome = Outcome(counts={"rows": 24})
    ground.sql(DUE_AGAIN)
    assert runs.run_due() == 1
    assert ground.sql(kept) == [("done", {"rows": 24}, None)]


def test_a_reason_that_the_database_cannot_hold_is_recorded_all_the_same(ground: Ground) -> None:
    runs = JobRuns(ground.database, job_runs, (job(Work(ValueError("a NUL \x00 and \ud800"))),), Hand(MOMENT))
    runs.ensure_due_runs()

    assert runs.run_due() == 1
    assert ground.sql("select state from ground.job_runs") == [("failed",)]


def test_a_process_told_to_stop_leaves_its_run_to_the_next_one_however_often(ground: Ground) -> None:
    stop = threading.Event()
    stop.set()

    def interrupted(_slot: datetime) -> Outcome:
        interrupted_by(stop)("a step")
        return Outcome()

    runs = JobRuns(ground.database, job_runs, (job(interrupted),), Hand(MOMENT))
    runs.ensure_due_runs()
    for _ in range(MAX_ATTEMPTS + 1):
        assert runs.run_due() == 1
        assert ground.sql("select state, due_at <= clock_timestamp() from ground.job_runs") == [("due", True)]
    stop.clear()
    assert runs.run_due() == 1
    assert ground.sql("select state from ground.job_runs") == [("done",)]


def test_a_run_asked_for_is_run_at_once_also_again_but_not_twice_at_once(ground: Ground) -> None:
    work = Work()
    runs = JobRuns(ground.database, job_runs, (job(work),), Hand(MOMENT))
    runs.run_now("sync", MOMENT)
    runs.run_now("sync", MOMENT)
    assert work.slots == [MOMENT, MOMENT]

    work.outcome = LookupError("no use")
    with pytest.raises(LookupError):
        runs.run_now("sync", MOMENT)
    ground.sql(DUE_AGAIN)
    assert runs._claim() is not None
    with pytest.raises(AlreadyRunning, match="under way"):
        runs.run_now("sync", MOMENT)


def test_a_run_is_requested_once(ground: Ground) -> None:
    with ground.database.transaction() as session:
        first = request_run(session, job_runs, "sync", MOMENT)
        assert request_run(session, job_runs, "sync", MOMENT) == first

    assert ground.sql("select state, attempts from ground.job_runs") == [("due", 0)]


def test_an_interruption_says_what_it_is() -> None:
    assert "told to stop" in str(Interrupted())
