"""The relay: hands events that were written to the outbox over to the workers, and puts old ones away.

Any number may run.
"""

import time
from collections.abc import Collection
from contextlib import closing, suppress
from functools import partial
from threading import Event as Flag

import structlog
from sqlalchemy import Table
from sqlalchemy.exc import SQLAlchemyError

from shared.backlog import SWEPT, outbox_gauges, sweep
from shared.broker import Transport
from shared.database import IDLE_SECONDS, Database
from shared.health import Health, serve_health
from shared.metrics import Gauges, TableGauges, exposition
from shared.module import Module
from shared.outbox import BATCH, hand_back, take_due
from shared.revision import check_revision
from shared.settings import ServiceSettings

logger = structlog.get_logger(__name__)
INTERVAL = 0.1
AFTER_A_FAULT = 1.0
FULL = 5 * BATCH  # ids in the queue beyond which workers have enough: else what waits for them is handed over again
SWEEP_EVERY = 60.0


def run_relay(module: Module, settings: ServiceSettings, stop: Flag) -> None:
    """Hand over what is due until `stop` is set; a fault of a store is waited out."""
    if module.outbox is None:
        raise ValueError(f"{module.name} publishes no events")
    with (
        closing(Database(settings.database, pool_size=2, idle_seconds=IDLE_SECONDS)) as database,
        closing(Transport(settings.redis_url, service=module.name)) as transport,
    ):
        health = Health({"database": partial(check_revision, database, module), "redis": transport.ping})
        gauges: tuple[Gauges, ...] = (partial(outbox_gauges, module.outbox), *module.gauges)
        metrics = exposition(TableGauges(database, gauges, service=module.name))
        with serve_health(health, host=settings.host, port=settings.metrics_port, metrics=metrics):
            logger.info("relay started", service=module.name)
            errands = tuple(module.errands(settings)) if module.errands else ()
            swept_at = float("-inf")
            while not stop.is_set():
                stop.wait(step(database, module.outbox, transport, errands=errands))
                if time.monotonic() - swept_at > SWEEP_EVERY:
                    swept_at = time.monotonic()
                    tidy(database, module.outbox, stop)
                health.beat()


def tidy(database: Database, outbox: Table, stop: Flag) -> None:
    """Put away what was done long ago, a batch at a time."""
    swept = SWEPT
    while swept == SWEPT and not stop.is_set():
        try:
            with database.transaction() as session:
                swept = sweep(session, outbox)
        except SQLAlchemyError as error:
            logger.warning("old events stay", error=str(error))
            return


def step(database: Database, outbox: Table, transport: Transport, *, errands: Collection[str] = ()) -> float:
    """Hand over one batch, unless the workers have enough; the seconds to wait before the next.

    Errands that pile up, as their receivers hang, are left; nothing else waits for them.
    """
    if _is_full(transport):
        return INTERVAL
    try:
        with database.transaction() as session:
            events = take_due(session, outbox, without=errands if _is_full(transport, errands=True) else ())
    except SQLAlchemyError as error:
        logger.warning("database unavailable", error=str(error))
        return AFTER_A_FAULT
    try:
        for event_id, type_ in events:
            transport.send(event_id, errand=type_ in errands)
    except Exception as error:  # whatever Redis and Dramatiq raise: the rows stay and are sent again
        logger.warning("queue unavailable", error=str(error))
        with suppress(SQLAlchemyError), database.transaction() as session:  # else their lease runs out by itself
            hand_back(session, outbox, [event_id for event_id, _ in events])
        return AFTER_A_FAULT
    return 0 if events else INTERVAL


def _is_full(transport: Transport, *, errands: bool = False) -> bool:
    try:
        return transport.waiting(errands=errands) >= FULL
    except Exception:  # then the hand-over will say so
        return False
