"""The scheduler ticks until it is told to stop, and does what is due meanwhile."""

import shutil
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime, timedelta
from threading import Event as Flag
from typing import Any

import httpx
import psycopg
import pytest
from apscheduler.schedulers.background import BackgroundScheduler
from apscheduler.triggers.cron import CronTrigger
from sqlalchemy import create_engine, text

from cli.embedded.children import free_port
from shared import health, scheduler
from shared.database import Database, driver_url
from shared.jobs import Chore, Job, Outcome, Progress
from shared.scheduler import run_scheduler
from shared.settings import ServiceSettings
from tests.conftest import new_folder
from tests.postgres import Postgres
from tests.shared.ground import Ground, job_runs, metadata, module_named, settings_on, until

STEP = timedelta(seconds=3)
NEVER = 3600.0


class Often(Job):
    """A job with a slot, and a tick of its own, every three seconds."""

    @property
    def trigger(self) -> CronTrigger:
        """Every three seconds."""
        return CronTrigger(second="*/3", timezone=UTC)


class Unticked(Often):
    """The same slots without a tick of their own: its cron time is far away."""

    @property
    def trigger(self) -> CronTrigger:
        """On leap days."""
        return CronTrigger.from_crontab("0 0 29 2 *", timezone=UTC)

    def slots(self, after: datetime, until: datetime) -> Iterator[datetime]:
        """Every three seconds."""
        return Often(self.name, self.cron, self.run).slots(after, until)


def jobs(
    run: Callable[[datetime, Progress], Outcome], kind: type[Job] = Job
) -> Callable[[ServiceSettings, Progress], tuple[Job, ...]]:
    """One job that is due from the start."""

    def build(_settings: ServiceSettings, progress: Progress) -> tuple[Job, ...]:
        return (kind("sync", "0 20 * * *", lambda slot: run(slot, progress), from_start=True),)

    return build


def started(
    settings: ServiceSettings, run: Callable[[datetime, Progress], Outcome], stop: Flag, kind: type[Job] = Job
) -> threading.Thread:
    """A scheduler in a thread."""
    module = module_named(job_runs=job_runs, jobs=jobs(run, kind))
    thread = threading.Thread(target=run_scheduler, args=(module, settings, stop))
    thread.start()
    return thread


@contextmanager
def ticking(settings: ServiceSettings, slots: list[datetime], kind: type[Job] = Job) -> Iterator[None]:
    """A scheduler that notes the slots it does, until the block ends."""
    stop = Flag()
    thread = started(settings, noting(slots), stop, kind)
    try:
        yield
    finally:
        stop.set()
        thread.join(timeout=10)


def noting(slots: list[datetime]) -> Callable[[datetime, Progress], Outcome]:
    """Work that notes its slot."""

    def run(slot: datetime, _progress: Progress) -> Outcome:
        slots.append(slot)
        return Outcome()

    return run


def test_what_is_due_is_done_once_by_two_schedulers_and_both_end_when_told(ground: Ground) -> None:
    stop, slots = Flag(), list[datetime]()

    def run(slot: datetime, _progress: Progress) -> Outcome:
        slots.append(slot)
        return Outcome(counts={"rows": 1})

    threads = [started(ground.settings, run, stop), started(ground.settings, run, stop)]
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

    thread = started(ground.settings, run, stop)
    assert begun.wait(10)
    stop.set()
    thread.join(timeout=10)

    assert not thread.is_alive()
    assert ground.sql("select state, attempts, due_at <= clock_timestamp() from ground.job_runs") == [("due", 0, True)]


@pytest.mark.parametrize(("tick", "kind"), [(NEVER, Often), (1.0, Unticked)])
def test_slots_that_come_after_the_start_are_done_by_the_jobs_own_ticks_and_by_the_repeated_look(
    ground: Ground, monkeypatch: pytest.MonkeyPatch, tick: float, kind: type[Job]
) -> None:
    """Each of the two alone: with neither, nothing would be done after the start's own slot."""
    monkeypatch.setattr(scheduler, "TICK", tick)
    slots = list[datetime]()
    with ticking(ground.settings, slots, kind):
        assert until(lambda: len(slots) >= 2, seconds=30)
    assert slots == [slots[0] + n * STEP for n in range(len(slots))]


def test_without_either_only_the_start_looks_for_slots(ground: Ground, monkeypatch: pytest.MonkeyPatch) -> None:
    """The negative control."""
    monkeypatch.setattr(scheduler, "TICK", NEVER)
    slots = list[datetime]()
    with ticking(ground.settings, slots, Unticked):
        time.sleep(1.5 * STEP.total_seconds())
    assert len(slots) == 1


@pytest.mark.undisturbed
def test_a_scheduler_is_alive_while_its_loop_runs_and_stale_while_it_stands_still(
    ground: Ground, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scheduler, "BEAT", 0.2)
    monkeypatch.setattr(health, "STALE_SECONDS", 3.0)
    stuck, over, look = Flag(), Flag(), BackgroundScheduler._process_jobs

    def look_unless_stuck(self: BackgroundScheduler) -> object:
        return over.wait(30) if stuck.is_set() else look(self)

    monkeypatch.setattr(BackgroundScheduler, "_process_jobs", look_unless_stuck)
    settings = ground.settings.model_copy(update={"metrics_port": free_port()})

    def alive() -> int:
        return httpx.get(f"http://127.0.0.1:{settings.metrics_port}/livez").status_code

    with ticking(settings, []):
        assert until(lambda: ground.sql("select state from ground.job_runs") == [("done",)])
        time.sleep(4)
        try:
            assert alive() == 200
            stuck.set()
            assert until(lambda: alive() == 503, seconds=20)
        finally:
            stuck.clear()
            over.set()


@pytest.fixture
def postgres() -> Iterator[Postgres]:
    """A server of the test's own, with the made-up service's tables."""
    home = new_folder()
    with closing(Postgres(home)) as postgres:
        postgres.start()
        engine = create_engine(driver_url(postgres.url))
        with engine.begin() as connection:
            connection.execute(text("create schema ground"))
            metadata.create_all(connection)
        engine.dispose()
        yield postgres
    shutil.rmtree(home, ignore_errors=True)


@pytest.mark.undisturbed
def test_s3_a_server_that_restarts_at_the_slot_delays_it_and_the_scheduler_still_ticks(
    postgres: Postgres, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scheduler, "TICK", 1.0)
    settings, slots = settings_on(postgres.url), list[datetime]()
    with ticking(settings, slots, Often):
        assert until(lambda: len(slots) >= 2, seconds=30)
        time.sleep(1)  # in between two slots, so that no run is under way
        killed = datetime.now(UTC)
        postgres.kill()
        last = slots[-1]
        missed = last + STEP
        time.sleep(max(0.0, (missed - datetime.now(UTC)).total_seconds()) + 1)
        assert slots[-1] == last
        postgres.start()
        back = datetime.now(UTC)
        assert until(lambda: slots[-1] > back + STEP, seconds=60)
    assert killed < missed < back
    assert slots == [slots[0] + n * STEP for n in range(len(slots))]
    with closing(Database(settings.database)) as database, database.transaction() as session:
        assert session.execute(text("select max(attempts) from ground.job_runs")).scalar() == 1


def test_a_scheduler_that_starts_while_its_database_is_away_does_what_is_due_by_itself_afterwards(
    ground: Ground, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scheduler, "TICK", 1.0)
    stop, slots = Flag(), list[datetime]()
    server = f"{ground.owner_url.rpartition('/')[0]}/postgres"
    with closing(psycopg.connect(server, autocommit=True)) as owner:
        owner.execute(f'alter database "{ground.name}" with allow_connections false')
        owner.execute("select pg_terminate_backend(pid) from pg_stat_activity where datname = %s", (ground.name,))
        thread = started(ground.settings, noting(slots), stop)
        time.sleep(2.5)
        assert slots == []
        owner.execute(f'alter database "{ground.name}" with allow_connections true')
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
