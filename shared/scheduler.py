"""The scheduler: APScheduler ticks in a process of its own, Postgres decides what is due."""

import time
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime
from functools import partial
from threading import Event as Flag

import structlog
from apscheduler.schedulers.background import BackgroundScheduler

from shared.database import Database
from shared.health import Health, serve_health
from shared.jobs import Job, JobRuns, interrupted_by, job_gauges
from shared.metrics import Gauges, TableGauges, exposition
from shared.module import Module
from shared.revision import check_revision
from shared.settings import ServiceSettings

logger = structlog.get_logger(__name__)
BEAT = 5.0
TICK = 30.0
GRACE = 10.0


def run_scheduler(module: Module, settings: ServiceSettings, stop: Flag) -> None:
    """Tick until `stop` is set: at every job's own times and each 30 seconds look for due slots, each second for runs.

    A tick that fails is logged and the next one comes; what was missed while nobody ticked is caught up. A run under
    way is interrupted at its next step, and taken up again by whoever schedules next. Jobs run side by side, and chores
    tick at their own pace.
    """
    if (module.jobs is None) != (module.job_runs is None) or not (module.jobs or module.chores):
        raise ValueError(f"{module.name} has no scheduled jobs")
    jobs = module.jobs(settings, interrupted_by(stop)) if module.jobs is not None else ()
    # at once: every chore; of every job its run, or its lease's renewal, and two looks for slots; health and metrics
    at_once = len(module.chores) + 3 * len(jobs) + 2
    with closing(Database(settings.database, pool_size=at_once)) as database:
        runs = [] if module.job_runs is None else [JobRuns(database, module.job_runs, (job,)) for job in jobs]
        health = Health({"database": partial(check_revision, database, module)})
        scheduler = _scheduler(health)
        for job, of_job in zip(jobs, runs, strict=True):
            _add_runs(scheduler, of_job, job)
        for chore in module.chores:
            _add(scheduler, partial(chore.run, settings, database), chore.seconds)
        metrics = exposition(TableGauges(database, gauges_of(module), service=module.name))
        with serve_health(health, host=settings.host, port=settings.metrics_port, metrics=metrics):
            scheduler.start()
            names = [job.name for job in jobs] + [chore.name for chore in module.chores]
            logger.info("scheduler started", service=module.name, jobs=names)
            stop.wait()
            scheduler.shutdown(wait=False)
            deadline = time.monotonic() + GRACE
            for of_job in runs:
                of_job.wait_idle(max(0.0, deadline - time.monotonic()))


def gauges_of(module: Module) -> tuple[Gauges, ...]:
    """Those of the runs; and of the module, unless a relay shows them."""
    of_runs = () if module.job_runs is None else (partial(job_gauges, module.job_runs),)
    return of_runs if module.outbox is not None else (*of_runs, *module.gauges)


def _scheduler(health: Health) -> BackgroundScheduler:
    scheduler = BackgroundScheduler(
        timezone=UTC, job_defaults={"coalesce": True, "max_instances": 1, "misfire_grace_time": None}
    )
    scheduler.add_job(health.beat, "interval", seconds=BEAT)
    return scheduler


def _add_runs(scheduler: BackgroundScheduler, runs: JobRuns, job: Job) -> None:
    """A job's own ticks, so that no job waits for another; one that comes while a run takes long ends at once."""
    scheduler.add_job(runs.ensure_due_runs, job.trigger)
    _add(scheduler, runs.ensure_due_runs, TICK)
    _add(scheduler, runs.run_due, 1, max_instances=2)


def _add(scheduler: BackgroundScheduler, run: Callable[[], object], seconds: float, *, max_instances: int = 1) -> None:
    """Now, and again after as many seconds."""
    now = datetime.now(UTC)
    scheduler.add_job(run, "interval", seconds=seconds, next_run_time=now, max_instances=max_instances)
