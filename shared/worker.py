"""The worker: takes event ids off the queue and acts on them, each once."""

from contextlib import closing
from functools import partial
from threading import Event as Flag
from uuid import UUID

import structlog

from shared.broker import Transport
from shared.database import Database
from shared.health import Health, serve_health
from shared.module import Module
from shared.outbox import deliver
from shared.revision import check_revision
from shared.settings import ServiceSettings

logger = structlog.get_logger(__name__)
THREADS = 4
IDLE_SECONDS = 3  # a worker that was stopped in the middle must not keep others from an inbox for long
BEAT = 1.0
GRACE_MILLISECONDS = 10_000


def run_worker(module: Module, settings: ServiceSettings, stop: Flag) -> None:
    """Act on the module's events until `stop` is set; what is under way is finished first."""
    outbox = module.outbox
    if outbox is None:
        raise ValueError(f"{module.name} publishes no events")
    database = Database(settings.database, pool_size=THREADS + 1, idle_seconds=IDLE_SECONDS)

    def act(event_id: UUID) -> None:
        deliver(database, outbox, module.tasks, event_id)

    with closing(database), closing(Transport(settings.redis_url, service=module.name)) as transport:
        health = Health({"database": partial(check_revision, database, module), "redis": transport.ping})
        with serve_health(health, host=settings.host, port=settings.metrics_port):
            worker = transport.receive(act, threads=THREADS)
            worker.start()
            logger.info("worker started", service=module.name)
            while not stop.wait(BEAT):
                if all(thread.is_alive() for thread in worker.workers):
                    health.beat()
            worker.stop(timeout=GRACE_MILLISECONDS)
