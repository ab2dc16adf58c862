"""A run is done once, whoever ticks; what failed, was left or was interrupted is tried again later."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import suppress
from datetime import datetime, timedelta

import pytest
from sqlalchemy.orm import Session

from shared.jobs import (
    MAX_ATTEMPTS,
    AlreadyRunning,
    Interrupted,
    Job,
    JobRuns,
    Outcome,
    interrupted_by,
    job_gauges,
    request_run,
)
from tests.shared.ground import Ground, job_runs, until
from tests.shared.work import DAILY, DUE_AGAIN, MOMENT, Hand, Work, days, job, nothing


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


def two_missed_slots(ground: Ground, kind: type[JobRuns]) -> JobRuns:
    """Runs of one job with two slots that are due."""
    hand = Hand(MOMENT)
    runs = kind(ground.database, job_runs, (job(Work()),), hand)
    runs.ensure_due_runs()
    hand.at = MOMENT + timedelta(days=1)
    runs.ensure_due_runs()
    return runs


def claimed_at_once(ground: Ground, runs: JobRuns) -> list[datetime]:
    """The slots that two runners have, of which the second asks before the first has committed."""
    with ThreadPoolExecutor(1) as pool:
        with ground.database.transaction() as session:
            first = runs._claimed(session)
            asked = pool.submit(runs._claim)
            wait([asked], timeout=0.3)
        return [claim.slot for claim in (first, asked.result(5)) if claim is not None]


def test_s1_of_one_job_one_run_is_under_way_whatever_the_slot(ground: Ground) -> None:
    runs = two_missed_slots(ground, JobRuns)
    assert claimed_at_once(ground, runs) == [MOMENT]
    with pytest.raises(AlreadyRunning):
        runs.run_now("sync", MOMENT + timedelta(days=7))
    assert ground.sql("select count(*) from ground.job_runs") == [(2,)]  # what is refused is not queued either
    assert runs._claim() is None

    ground.sql("update ground.job_runs set state = 'done' where state = 'running'")
    assert [runs._claim() is not None for _ in range(2)] == [True, False]


def test_s1_without_turns_two_would_have_a_run_each(ground: Ground) -> None:
    """The negative control: neither sees what the other is about to write."""

    class Unguarded(JobRuns):
        def _take_turns(self, session: Session) -> None:
            pass

    assert claimed_at_once(ground, two_missed_slots(ground, Unguarded)) == days(0, 1)


def test_a_runner_that_is_at_work_does_not_begin_again(ground: Ground) -> None:
    inner = list[int]()

    def run(_slot: datetime) -> Outcome:
        inner.append(runs.run_due())
        return Outcome()

    other = Job(name="other", cron=DAILY, run=nothing, from_start=True)
    runs = JobRuns(ground.database, job_runs, (job(run), other), Hand(MOMENT))
    runs.ensure_due_runs()
    assert (runs.run_due(), inner) == (2, [0])


def test_a_run_whose_process_was_killed_is_taken_up_when_its_lease_is_over(ground: Ground) -> None:
    work = Work()
    runs = JobRuns(ground.database, job_runs, (job(work),), Hand(MOMENT))
    runs.ensure_due_runs()
    assert runs._claim() is not None  # and then kill -9

    assert runs.run_due() == 0
    ground.sql(DUE_AGAIN)
    assert runs.run_due() == 1
    assert ground.sql("select state, attempts from ground.job_runs") == [("done", 2)]


def test_a_run_under_way_keeps_its_lease_and_one_that_ended_does_not(ground: Ground) -> None:
    lease = "select extract(epoch from due_at - clock_timestamp())::float from ground.job_runs"

    def run(_slot: datetime) -> Outcome:
        ground.sql("update ground.job_runs set due_at = clock_timestamp() + interval '1 second'")
        assert until(lambda: 50 < float(ground.sql(lease)[0][0]) <= 60)
        return Outcome()

    runs = JobRuns(ground.database, job_runs, (job(run),), Hand(MOMENT), renew=0.05)
    runs.ensure_due_runs()
    assert runs.run_due() == 1
    assert ground.sql("select state from ground.job_runs") == [("done",)]


def test_a_lease_that_cannot_be_renewed_for_a_while_does_not_end_the_run(ground: Ground) -> None:
    def run(_slot: datetime) -> Outcome:
        ground.end_connections()
        time.sleep(0.2)
        return Outcome()

    runs = JobRuns(ground.database, job_runs, (job(run),), Hand(MOMENT), renew=0.02)
    runs.ensure_due_runs()
    assert runs.run_due() == 1
    assert ground.sql("select state from ground.job_runs") == [("done",)]


def test_a_run_killed_in_its_last_attempt_has_failed_and_can_be_asked_for_again(ground: Ground) -> None:
    work = Work()
    runs = JobRuns(ground.database, job_runs, (job(work),), Hand(MOMENT))
    runs.ensure_due_runs()
    ground.sql("update ground.job_runs set attempts = 29")
    assert runs._claim() is not None  # and then kill -9

    ground.sql(DUE_AGAIN)
    assert runs.run_due() == 0
    assert ground.sql("select state, error from ground.job_runs") == [("failed", "killed in its last attempt")]
    runs.run_now("sync", MOMENT)
    assert ground.sql("select state from ground.job_runs") == [("done",)]


def test_an_attempt_that_outlived_its_lease_does_not_overwrite_the_one_that_took_over(ground: Ground) -> None:
    runs = JobRuns(ground.database, job_runs, (job(Work()),), Hand(MOMENT))
    runs.ensure_due_runs()
    slow = runs._claim()
    assert slow is not None
    ground.sql(DUE_AGAIN)
    assert runs.run_due() == 1

    runs._finish(slow, "failed", {}, "too late")
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
        assert ground.sql(wait) == [(min(30 * attempt * attempt, 3600),)]
    ground.sql(DUE_AGAIN)
    assert runs.run_due() == 0
    assert ground.sql(run) == [("failed", MAX_ATTEMPTS, "LookupError: no use")]


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


@pytest.mark.parametrize(("rest", "days_"), [(timedelta(days=1), 1), (None, 2_000_000)])
def test_what_is_not_to_be_tried_again_soon_rests_or_is_left_for_good(
    ground: Ground, rest: timedelta | None, days_: int
) -> None:
    work = Work(Outcome(partial=True, again=False, rest=rest))
    runs = JobRuns(ground.database, job_runs, (job(work),), Hand(MOMENT))
    runs.ensure_due_runs()
    runs.run_due()
    waits = "select state, extract(epoch from due_at - finished_at)::float / 86400 from ground.job_runs"
    ((state, waited),) = ground.sql(waits)
    assert (state, min(round(waited), 2_000_000)) == ("failed", days_)


def test_failed_runs_are_shown_until_a_later_slot_of_the_same_job_is_done(ground: Ground) -> None:
    def shown() -> float:
        with ground.database.transaction() as session:
            return job_gauges(job_runs, session)["job_failed"]

    hand, failing = Hand(MOMENT), Work(LookupError("no use"))
    other = Job(name="other", cron=DAILY, run=nothing, from_start=True)
    runs = JobRuns(ground.database, job_runs, (job(failing), other), hand)
    for day in range(2):
        hand.at = MOMENT + timedelta(days=day)
        runs.ensure_due_runs()
        runs.run_due()
        assert shown() == day + 1
    with suppress(LookupError):
        runs.run_now("sync", MOMENT + timedelta(days=3))
    failing.outcome = Outcome()
    runs.run_now("sync", MOMENT + timedelta(days=2))
    assert shown() == 1  # the one after that
    runs.run_now("sync", MOMENT + timedelta(days=4))
    assert shown() == 0


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
