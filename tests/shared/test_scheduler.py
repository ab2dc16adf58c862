"""The scheduler ticks until it is told to stop, and does what is due meanwhile."""

import threading
import time
from collections.abc import Callable
from contextlib import closing
from datetime import datetime
from threading import Event as Flag
from typing import Any

import psycopg
import pytest
from sqlalchemy import text

from shared.database import Database
from shared.jobs import Chore, Job, JobRuns, Outcome, Progress, interrupted_by
from shared.scheduler import run_scheduler
from shared.settings import ServiceSettings
from tests.shared.ground import Ground, job_runs, module_named, until


def jobs(run: Callable[[datetime, Progress], Outcome]) -> Callable[[ServiceSettings, Progress], tuple[Job, ...]]:
    """One job that is due from the start."""

    def build(_settings: ServiceSettings, progress: Progress) -> tuple[Job, ...]:
        return (Job("sync", "0 20 * * *", lambda slot: run(slot, progress), from_start=True),)

    return build


def started(ground: Ground, run: Callable[[datetime, Progress], Outcome], stop: Flag) -> threading.Thread:
    """A scheduler in a thread."""
    module = module_named(job_runs=job_runs, jobs=jobs(run))
    thread = threading.Thread(target=run_scheduler, args=(module, ground.settings, stop))
    thread.start()
    return thread


def test_what_is_due_is_done_once_by_two_schedulers_and_both_end_when_told(ground: Ground) -> None:
    stop, slots = Flag(), list[datetime]()

    def run(slot: datetime, _progress: Progress) -> Outcome:
        slots.append(slot)
        return Outcome(counts={"rows": 1})

    threads = [started(ground, run, stop), started(ground, run, stop)]
    assert until(lambda: ground.sql("select state from ground.job_runs") == [("done",)])
    stop.set()
    for thread in threads:
        thread.join(timeout=10)

    assert not any(thread.is_alive() for thread in threads)
    assert len(slots) == 1


def test_a_run_under_way_is_left_to_the_next_when_told_to_stop(ground: Ground) -> None:
    stop, begun = Flag(), Flag()

    def run(_slot: datetime, progress: Progress) -> Outcome:
        begun.set()
        stop.wait(10)
        progress("the next step")
        return Outcome()

    thread = started(ground, run, stop)
    assert begun.wait(10)
    stop.set()
    thread.join(timeout=10)

    assert not thread.is_alive()
    assert ground.sql("select state, attempts, due_at <= clock_timestamp() from ground.job_runs") == [("due", 0, True)]


def test_s3_a_database_that_restarts_at_the_slot_is_waited_out_and_the_scheduler_still_ticks(ground: Ground) -> None:
    stop, slots = Flag(), list[datetime]()

    def run(slot: datetime, _progress: Progress) -> Outcome:
        slots.append(slot)
        return Outcome()

    server = f"{ground.owner_url.rpartition('/')[0]}/postgres"
    with closing(psycopg.connect(server, autocommit=True)) as owner:
        owner.execute(f'alter database "{ground.name}" with allow_connections false')
        owner.execute("select pg_terminate_backend(pid) from pg_stat_activity where datname = %s", (ground.name,))
        thread = started(ground, run, stop)
        time.sleep(2.5)
        assert slots == []
        owner.execute(f'alter database "{ground.name}" with allow_connections true')
    runs = JobRuns(ground.database, job_runs, jobs(run)(ground.settings, interrupted_by(stop)))
    runs.ensure_due_runs()  # as the tick of the next half minute does
    assert until(lambda: ground.sql("select state from ground.job_runs") == [("done",)])
    stop.set()
    thread.join(timeout=10)
    assert len(slots) == 1


def test_a_long_run_keeps_no_other_job_waiting_and_is_nothing_to_warn_of(
    ground: Ground, caplog: pytest.LogCaptureFixture
) -> None:
    stop, short = Flag(), Flag()

    def long_run(_slot: datetime) -> Outcome:
        assert short.wait(10)
        time.sleep(2.2)  # two ticks more
        return Outcome()

    def short_run(_slot: datetime) -> Outcome:
        short.set()
        return Outcome()

    def build(_settings: ServiceSettings, _progress: Progress) -> tuple[Job, ...]:
        cron = "0 20 * * *"
        return Job("long", cron, long_run, from_start=True), Job("short", cron, short_run, from_start=True)

    module = module_named(job_runs=job_runs, jobs=build)
    thread = threading.Thread(target=run_scheduler, args=(module, ground.settings, stop))
    thread.start()
    assert until(lambda: ground.sql("select state from ground.job_runs") == [("done",)] * 2)
    stop.set()
    thread.join(timeout=10)
    assert [record for record in caplog.records if record.levelname == "WARNING"] == []


@pytest.mark.parametrize("lacking", [{"jobs": None, "job_runs": job_runs}, {"jobs": jobs(lambda *_: Outcome())}])
def test_a_service_without_jobs_has_no_scheduler(lacking: dict[str, Any], ground: Ground) -> None:
    with pytest.raises(ValueError, match="has no scheduled jobs"):
        run_scheduler(module_named(**lacking), ground.settings, Flag())


def test_chores_tick_without_runs_and_a_failing_one_stops_nobody(ground: Ground) -> None:
    stop, done = Flag(), Flag()

    def fail(_settings: ServiceSettings, _database: Database) -> None:
        raise LookupError("out of order")

    def work(settings: ServiceSettings, database: Database) -> None:
        with database.transaction():
            done.set()

    module = module_named(chores=(Chore("failing", 1, fail), Chore("working", 1, work)))
    thread = threading.Thread(target=run_scheduler, args=(module, ground.settings, stop))
    thread.start()
    assert done.wait(10)
    stop.set()
    thread.join(timeout=10)
    assert not thread.is_alive()


def test_chores_that_all_work_at_once_have_a_connection_each(ground: Ground) -> None:
    stop, over, together = Flag(), Flag(), threading.Barrier(7)

    def work(_settings: ServiceSettings, database: Database) -> None:
        with database.transaction() as session:
            session.execute(text("select 1"))
            together.wait(5)
            over.wait(10)

    module = module_named(chores=tuple(Chore(str(number), 60, work) for number in range(6)))
    thread = threading.Thread(target=run_scheduler, args=(module, ground.settings, stop))
    thread.start()
    try:
        together.wait(5)  # breaks while somebody waits for a connection
    finally:
        over.set()
        stop.set()
        thread.join(timeout=10)
