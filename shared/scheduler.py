"""The scheduler: APScheduler ticks in a process of its own, Postgres decides what is due."""

from contextlib import closing
from datetime import UTC, datetime
from functools import partial
from threading import Event as Flag

import structlog
from apscheduler.schedulers.background import BackgroundScheduler
from apscheduler.triggers.cron import CronTrigger

from shared.database import Database
from shared.health import Health, serve_health
from shared.jobs import Job, JobRuns, interrupted_by, job_gauges
from shared.metrics import TableGauges, exposition
from shared.module import Module
from shared.revision import check_revision
from shared.settings import ServiceSettings

logger = structlog.get_logger(__name__)
TICK = 30
GRACE = 10.0


def run_scheduler(module: Module, settings: ServiceSettings, stop: Flag) -> None:
    """Tick until `stop` is set: at every job's own times and each 30 seconds look for due slots, each second for runs.

    A tick that fails is logged and the next one comes; what was missed while nobody ticked is caught up. A run under
    way is interrupted at its next step, and taken up again by whoever schedules next.
    """
    if module.job_runs is None or module.jobs is None:
        raise ValueError(f"{module.name} has no scheduled jobs")
    jobs = module.jobs(settings, interrupted_by(stop))
    with closing(Database(settings.database, pool_size=5)) as database:
        runs = JobRuns(database, module.job_runs, jobs)
        health = Health({"database": partial(check_revision, database, module)})
        scheduler = _scheduler(runs, jobs, health)
        metrics = exposition(TableGauges(database, (partial(job_gauges, module.job_runs),), service=module.name))
        with serve_health(health, host=settings.host, port=settings.metrics_port, metrics=metrics):
            scheduler.start()
            logger.info("scheduler started", service=module.name, jobs=[job.name for job in jobs])
            stop.wait()
            scheduler.shutdown(wait=False)
            runs.wait_idle(GRACE)


def _scheduler(runs: JobRuns, jobs: tuple[Job, ...], health: Health) -> BackgroundScheduler:
    scheduler = BackgroundScheduler(
        timezone=UTC, job_defaults={"coalesce": True, "max_instances": 1, "misfire_grace_time": None}
    )
    now = datetime.now(UTC)
    for job in jobs:
        scheduler.add_job(runs.ensure_due_runs, CronTrigger.from_crontab(job.cron, timezone=UTC))
    scheduler.add_job(runs.ensure_due_runs, "interval", seconds=TICK, next_run_time=now)
    scheduler.add_job(runs.run_due, "interval", seconds=1, next_run_time=now)
    scheduler.add_job(health.beat, "interval", seconds=5)
    return scheduler
