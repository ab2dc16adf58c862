"""The scheduled jobs of pricing, and one of them run by hand."""

import datetime as dt
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import datetime
from functools import partial

from services.pricing.access.catalog import open_catalog
from services.pricing.database import job_runs
from services.pricing.feeds import policy
from services.pricing.feeds.runs import slot_of
from services.pricing.feeds.schemas import Feed
from services.pricing.feeds.service import Feeds, Spending, silent
from services.pricing.feeds.snapshots import Snapshots
from services.pricing.feeds.source import Source
from services.pricing.feeds.sources import open_source
from services.pricing.settings import PricingSettings
from shared.clock import DatabaseClock
from shared.database import Database
from shared.jobs import Job, JobRuns, Outcome, Progress
from shared.settings import ServiceSettings


def jobs(settings: ServiceSettings, progress: Progress = silent) -> tuple[Job, ...]:
    """Prices two minutes after every hour, market capitalisations at 20:00 UTC."""
    if not isinstance(settings, PricingSettings):
        raise TypeError("these jobs need the settings of pricing")
    return (
        Job(policy.SYNC, "2 * * * *", partial(_sync_prices, settings, progress), from_start=True),
        Job(policy.BACKFILL, "0 20 * * *", partial(_backfill_market_caps, settings, progress)),
    )


def run_job(
    settings: PricingSettings,
    name: str,
    date: dt.date | None = None,
    progress: Progress = silent,
) -> Outcome:
    """Run a job here and now, recorded like any other run.

    Raises JobNotFound, InvalidInput for a day to come, AlreadyRunning, and whatever the job itself fails with.
    """
    with closing(Database(settings.database, pool_size=2)) as database:
        with database.transaction() as session:
            slot = slot_of(name, date, DatabaseClock().now(session))
        return JobRuns(database, job_runs, jobs(settings, progress)).run_now(name, slot)


def _sync_prices(settings: PricingSettings, progress: Progress, slot: datetime) -> Outcome:
    with _open(settings) as (database, source, spending, wanted):
        feeds = Feeds(database, source, clock=DatabaseClock(), progress=progress, spending=spending)
        return feeds.sync_prices(wanted, slot)


def _backfill_market_caps(settings: PricingSettings, progress: Progress, slot: datetime) -> Outcome:
    with _open(settings) as (database, source, spending, wanted):
        snapshots = Snapshots(database, source, clock=DatabaseClock(), progress=progress, spending=spending)
        return snapshots.backfill_market_caps(wanted, slot)


@contextmanager
def _open(settings: PricingSettings) -> Iterator[tuple[Database, Source, Spending, list[Feed]]]:
    """The database, the source, its account and what the catalog offers now; everything is closed again at the end."""
    with open_catalog(settings) as catalog:
        datasets = catalog.datasets()
    with (
        closing(Database(settings.database, pool_size=2)) as database,
        open_source(settings, database, DatabaseClock(), datasets) as (source, spending, wanted),
    ):
        yield database, source, spending, wanted
