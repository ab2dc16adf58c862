"""The worker: takes event ids off the queue and acts on them, each once."""

from contextlib import closing
from functools import partial
from threading import Event as Flag
from uuid import UUID

import structlog

from shared.broker import Transport
from shared.database import IDLE_SECONDS, Database
from shared.health import Health, serve_health
from shared.module import Module
from shared.outbox import deliver
from shared.revision import check_revision
from shared.settings import ServiceSettings

logger = structlog.get_logger(__name__)
THREADS = 4
ERRAND_THREADS = 8  # they wait for others most of the time
BEAT = 1.0
GRACE_MILLISECONDS = 10_000


def run_worker(module: Module, settings: ServiceSettings, stop: Flag) -> None:
    """Act on the module's events until `stop` is set; what is under way is finished first."""
    outbox = module.outbox
    if outbox is None:
        raise ValueError(f"{module.name} publishes no events")
    tasks = module.all_tasks(settings)
    errand_threads = ERRAND_THREADS if module.errands else 0
    connections = THREADS + errand_threads + 1  # one for each thread and the probe: what was done must be written down
    database = Database(settings.database, pool_size=connections, idle_seconds=IDLE_SECONDS)

    def act(event_id: UUID) -> None:
        deliver(database, outbox, tasks, event_id)

    with closing(database), closing(Transport(settings.redis_url, service=module.name)) as transport:
        health = Health({"database": partial(check_revision, database, module), "redis": transport.ping})
        with serve_health(health, host=settings.host, port=settings.metrics_port):
            workers = transport.receive(act, threads=THREADS, errand_threads=errand_threads)
            for worker in workers:
                worker.start()
            logger.info("worker started", service=module.name)
            while not stop.wait(BEAT):
                if all(thread.is_alive() for worker in workers for thread in worker.workers):
                    health.beat()
            for worker in workers:
                worker.stop(timeout=GRACE_MILLISECONDS // len(workers))
