"""The worker: takes event ids off the queue and acts on them, each once."""

from contextlib import closing
from threading import Event as Flag
from uuid import UUID

import structlog

from shared.broker import Transport
from shared.database import Database
from shared.module import Module
from shared.outbox import deliver
from shared.settings import ServiceSettings

logger = structlog.get_logger(__name__)
THREADS = 4


def run_worker(module: Module, settings: ServiceSettings, stop: Flag) -> None:
    """Act on the module's events until `stop` is set; what is under way is finished first."""
    outbox = module.outbox
    if outbox is None:
        raise ValueError(f"{module.name} publishes no events")
    database = Database(settings.database, pool_size=THREADS)

    def act(event_id: UUID) -> None:
        deliver(database, outbox, module.tasks, event_id)

    with closing(database), closing(Transport(settings.redis_url, service=module.name)) as transport:
        worker = transport.receive(act, threads=THREADS)
        worker.start()
        logger.info("worker started", service=module.name)
        stop.wait()
        worker.stop(timeout=10_000)
