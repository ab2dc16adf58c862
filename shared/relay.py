"""The relay: hands events that were written to the outbox over to the workers; any number may run."""

from contextlib import closing, suppress
from functools import partial
from threading import Event as Flag

import structlog
from sqlalchemy import Table
from sqlalchemy.exc import SQLAlchemyError

from shared.broker import Transport
from shared.database import Database
from shared.health import Health, serve_health
from shared.module import Module
from shared.outbox import hand_back, take_due
from shared.revision import check_revision
from shared.settings import ServiceSettings

logger = structlog.get_logger(__name__)
INTERVAL = 0.1
AFTER_A_FAULT = 1.0


def run_relay(module: Module, settings: ServiceSettings, stop: Flag) -> None:
    """Hand over what is due until `stop` is set; a fault of a store is waited out."""
    if module.outbox is None:
        raise ValueError(f"{module.name} publishes no events")
    with (
        closing(Database(settings.database, pool_size=2)) as database,
        closing(Transport(settings.redis_url, service=module.name)) as transport,
    ):
        health = Health({"database": partial(check_revision, database, module), "redis": transport.ping})
        with serve_health(health, host=settings.host, port=settings.metrics_port):
            logger.info("relay started", service=module.name)
            while not stop.is_set():
                stop.wait(step(database, module.outbox, transport))
                health.beat()


def step(database: Database, outbox: Table, transport: Transport) -> float:
    """Hand over one batch; the seconds to wait before the next."""
    try:
        with database.transaction() as session:
            events = take_due(session, outbox)
    except SQLAlchemyError as error:
        logger.warning("database unavailable", error=str(error))
        return AFTER_A_FAULT
    try:
        for event_id in events:
            transport.send(event_id)
    except Exception as error:  # whatever Redis and Dramatiq raise: the rows stay and are sent again
        logger.warning("queue unavailable", error=str(error))
        with suppress(SQLAlchemyError), database.transaction() as session:  # else their lease runs out by itself
            hand_back(session, outbox, events)
        return AFTER_A_FAULT
    return 0 if events else INTERVAL
