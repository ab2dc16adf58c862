"""The jobs as the scheduler and the command line run them: each slot once, whoever runs it."""

import threading
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta

import pytest
from sqlalchemy import select, text

from services.pricing.access.errors import CatalogUnavailable
from services.pricing.database import job_runs
from services.pricing.feeds import jobs as feed_jobs
from services.pricing.feeds.errors import JobNotFound
from services.pricing.feeds.jobs import jobs, run_job
from services.pricing.settings import PricingSettings
from shared.database import Database
from shared.errors import InvalidInput
from shared.jobs import AlreadyRunning, Job, JobRuns, Outcome, request_run
from tests.services.pricing.conftest import FixedClock
from tests.standins.coincap import StandinCoinCap, point

TODAY = datetime.now(UTC).date()


@pytest.fixture
def upstream() -> Iterator[StandinCoinCap]:
    with StandinCoinCap() as standin:
        midnight = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
        days = [point(midnight - timedelta(days=n), f"{100 - n}.0") for n in (3, 2, 1)]
        standin.give_history("bitcoin", "d1", days)
        standin.give_history("bitcoin", "h1", [])
        standin.give_history("ethereum", "d1", days)
        standin.give_market_cap("bitcoin", "1.5")
        yield standin


@pytest.fixture
def with_coincap(settings: PricingSettings, upstream: StandinCoinCap) -> PricingSettings:
    return settings.model_copy(update={"coincap_url": upstream.url, "coincap_api_key": upstream.key})


def runs(database: Database) -> list[tuple[str, str, int]]:
    with database.transaction() as session:
        rows = session.execute(select(job_runs).order_by(job_runs.c.id)).all()
    return [(row.job, row.state, row.attempts) for row in rows]


def test_a_run_by_hand_is_recorded(with_coincap: PricingSettings, database: Database) -> None:
    told: list[str] = []
    outcome = run_job(with_coincap, "sync-prices", progress=lambda step, _done=0, _total=0: told.append(step))
    assert (outcome.counts["series"], outcome.counts["inserted"], outcome.partial) == (3, 6, False)
    assert len(told) == 3 + 10 + 10  # there is no hour of bitcoin
    assert runs(database) == [("sync-prices", "done", 1)]
    with database.transaction() as session:
        assert session.execute(select(job_runs.c.counts)).scalar_one() == outcome.counts


def test_without_a_key_the_sample_is_loaded(settings: PricingSettings, database: Database) -> None:
    outcome = run_job(settings, "sync-prices")
    assert (outcome.counts["series"], outcome.counts["failed"]) == (4, 0)
    assert run_job(settings, "backfill-market-caps", date=TODAY - timedelta(days=3)).counts["written"] == 3
    assert runs(database) == [("sync-prices", "done", 1), ("backfill-market-caps", "done", 1)]


@pytest.mark.parametrize("key", ["", "standin-key"])
def test_when_a_value_was_observed_and_what_is_still_to_come_is_by_the_databases_clock(
    with_coincap: PricingSettings, database: Database, monkeypatch: pytest.MonkeyPatch, key: str
) -> None:
    told = datetime.combine(TODAY + timedelta(days=400), datetime.min.time(), UTC) + timedelta(hours=21)
    monkeypatch.setattr(feed_jobs, "DatabaseClock", lambda: FixedClock(told))
    outcome = run_job(with_coincap.model_copy(update={"coincap_api_key": key}), "backfill-market-caps")
    assert outcome.counts["written"] >= 1
    with database.transaction() as session:
        assert set(session.scalars(text("select observed_at from pricing.market_caps"))) == {told}


def test_a_partial_run_is_recorded_and_done_again(
    with_coincap: PricingSettings, database: Database, upstream: StandinCoinCap
) -> None:
    upstream.fail_next("redirect", times=20)
    for attempt in (1, 2):
        outcome = run_job(with_coincap, "backfill-market-caps")
        assert (outcome.partial, outcome.counts["missing"]) == (True, 2)
        assert runs(database) == [("backfill-market-caps", "partial", attempt)]


def test_what_cannot_be_run_is_not_recorded(settings: PricingSettings, database: Database) -> None:
    with pytest.raises(JobNotFound):
        run_job(settings, "make-money")
    with pytest.raises(InvalidInput):
        run_job(settings, "backfill-market-caps", date=TODAY + timedelta(days=2))
    assert runs(database) == []


def test_a_run_that_fails_is_recorded_as_failed(settings: PricingSettings, database: Database) -> None:
    away = settings.model_copy(update={"catalog_url": "http://127.0.0.1:9"})
    with pytest.raises(CatalogUnavailable):
        run_job(away, "sync-prices")
    with database.transaction() as session:
        run = session.execute(select(job_runs)).one()
    assert run.state == "failed"
    assert run.error == "CatalogUnavailable: The catalog did not answer, so it is not known what is on offer."


def test_a_run_under_way_is_not_run_twice(database: Database) -> None:
    slot = datetime(2025, 6, 10, 20, tzinfo=UTC)

    def run(_slot: datetime) -> Outcome:
        with pytest.raises(AlreadyRunning):
            again.run_now("slow", slot)
        assert again.run_due() == 0
        return Outcome({"ran": 1})

    again = JobRuns(database, job_runs, (Job("slow", "0 20 * * *", run),))
    assert again.run_now("slow", slot).counts == {"ran": 1}
    assert runs(database) == [("slow", "done", 1)]


def test_the_jobs_and_their_times(settings: PricingSettings) -> None:
    sync, backfill = jobs(settings)
    day = datetime(2025, 6, 10, tzinfo=UTC)
    assert [slot.hour for slot in backfill.slots(day, day + timedelta(days=1))] == [20]
    assert {slot.minute for slot in sync.slots(day, day + timedelta(days=1))} == {2}
    assert len(list(sync.slots(day, day + timedelta(days=1)))) == 24
    assert (sync.from_start, backfill.from_start) == (True, False)


def test_two_schedulers_at_once_do_a_slot_once(database: Database) -> None:
    slots = [datetime(2025, 6, day, 20, tzinfo=UTC) for day in range(1, 21)]
    done: list[datetime] = []
    start = threading.Barrier(2)

    def note(slot: datetime) -> Outcome:
        done.append(slot)
        return Outcome()

    def schedule() -> None:
        scheduler = JobRuns(database, job_runs, (Job("note", "0 20 * * *", note),))
        start.wait()
        with database.transaction() as session:
            for slot in slots:
                request_run(session, job_runs, "note", slot)
        while len(done) < len(slots):
            scheduler.run_due()
        scheduler.run_due()

    threads = [threading.Thread(target=schedule) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=20)
    assert sorted(done) == slots
    assert runs(database) == [("note", "done", 1)] * len(slots)


def test_the_real_jobs_under_two_schedulers(with_coincap: PricingSettings, database: Database) -> None:
    with database.transaction() as session:
        slot = datetime.combine(date(2025, 6, 10), datetime.min.time(), UTC)
        request_run(session, job_runs, "sync-prices", slot)
    schedulers = [JobRuns(database, job_runs, jobs(with_coincap)) for _ in range(2)]
    made: list[int] = []
    threads = [threading.Thread(target=lambda s=s: made.append(s.run_due())) for s in schedulers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=30)
    assert sorted(made) == [0, 1]
    assert runs(database) == [("sync-prices", "done", 1)]
