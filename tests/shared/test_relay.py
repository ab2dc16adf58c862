"""From outbox to effect over the real queue: nothing is lost, whatever happens to the queue."""

import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import replace
from threading import Event as Flag
from uuid import UUID, uuid4

import httpx
import pytest
import redis
from sqlalchemy import text
from sqlalchemy.orm import Session

from cli.embedded.children import free_port
from shared.broker import Transport
from shared.database import Database
from shared.module import Module
from shared.outbox import Event, publish
from shared.relay import AFTER_A_FAULT, INTERVAL, run_relay, step
from shared.settings import ServiceSettings
from shared.worker import run_worker
from tests.shared.ground import NOWHERE, Ground, act, module_named, outbox, until

LEASE_OVER = "update ground.outbox set due_at = clock_timestamp() where state in ('sent', 'working')"


@pytest.fixture
def module() -> Module:
    """A service of its own name, so that no other test's messages are on its queue."""
    return module_named(f"ground-{uuid4().hex[:8]}", outbox=outbox, tasks={"grant.ended": act})


@contextmanager
def running(
    role: Callable[[Module, ServiceSettings, Flag], None], module: Module, settings: ServiceSettings
) -> Iterator[None]:
    """A relay or a worker in a thread."""
    stop = Flag()
    thread = threading.Thread(target=role, args=(module, settings, stop))
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join(timeout=15)
    assert not thread.is_alive()


def published(ground: Ground, *numbers: int) -> list[str]:
    """Publish events; the effects they must have."""
    with ground.database.transaction() as session:
        for number in numbers:
            publish(session, outbox, "grant.ended", {"number": number})
    return [f"grant.ended {number}" for number in numbers]


def test_an_event_published_is_handled(ground: Ground, module: Module) -> None:
    with running(run_relay, module, ground.settings), running(run_worker, module, ground.settings):
        wanted = published(ground, *range(20))
        assert until(lambda: sorted(ground.effects()) == sorted(wanted))

    assert ground.sql("select distinct state, attempts from ground.outbox") == [("done", 1)]


def test_two_relays_and_two_workers_handle_each_event_once(ground: Ground, module: Module) -> None:
    wanted = published(ground, *range(50))
    with (
        running(run_relay, module, ground.settings),
        running(run_relay, module, ground.settings),
        running(run_worker, module, ground.settings),
        running(run_worker, module, ground.settings),
    ):
        assert until(lambda: len(ground.effects()) >= 50)

    assert sorted(ground.effects()) == sorted(wanted)


def test_a_queue_that_loses_everything_loses_nothing(ground: Ground, module: Module) -> None:
    wanted = published(ground, 1, 2, 3)
    with closing(Transport(ground.settings.redis_url, service=module.name)) as transport:
        assert step(ground.database, outbox, transport) == 0
        with closing(redis.Redis.from_url(ground.settings.redis_url)) as queue:
            assert queue.dbsize()
            queue.flushdb()  # as FLUSHALL, but for the databases of tests beside this one
    ground.sql(LEASE_OVER)

    with running(run_relay, module, ground.settings), running(run_worker, module, ground.settings):
        assert until(lambda: sorted(ground.effects()) == wanted)


def test_a_message_that_comes_again_after_its_event_is_done_does_nothing(ground: Ground, module: Module) -> None:
    wanted = published(ground, 1)
    with closing(Transport(ground.settings.redis_url, service=module.name)) as transport:
        for _ in range(3):
            step(ground.database, outbox, transport)
            ground.sql(LEASE_OVER)
        with running(run_worker, module, ground.settings):
            assert until(lambda: ground.sql("select state from ground.outbox") == [("done",)])
            assert until(lambda: _queued(ground, module) == 0)

    assert ground.effects() == wanted


def _queued(ground: Ground, module: Module) -> int:
    with closing(redis.Redis.from_url(ground.settings.redis_url)) as queue:
        return int(str(queue.llen(f"dramatiq:{module.name}-outbox")))


def test_while_the_queue_is_away_events_stay_and_are_delivered_later(ground: Ground, module: Module) -> None:
    wanted = published(ground, 1, 2)
    with closing(Transport("redis://127.0.0.1:1/0", service=module.name)) as nowhere:
        assert step(ground.database, outbox, nowhere) == AFTER_A_FAULT
    assert ground.sql("select distinct state, due_at <= clock_timestamp() from ground.outbox") == [("pending", True)]

    with running(run_relay, module, ground.settings), running(run_worker, module, ground.settings):
        assert until(lambda: sorted(ground.effects()) == wanted)


def test_while_both_stores_are_away_the_relay_waits(ground: Ground, module: Module) -> None:
    gone = Database(NOWHERE, pool_size=1)
    with closing(gone), closing(Transport("redis://127.0.0.1:1/0", service=module.name)) as nowhere:
        assert step(gone, outbox, nowhere) == AFTER_A_FAULT


def test_events_that_cannot_be_handed_back_do_not_stop_the_relay(ground: Ground, module: Module) -> None:
    published(ground, 1)

    class LosingTheDatabaseToo(Transport):
        def send(self, event_id: UUID, *, errand: bool = False) -> None:  # noqa: ARG002
            ground.sql(f'alter database "{ground.name}" connection limit 0')
            ground.end_connections()
            raise ConnectionError

    with closing(LosingTheDatabaseToo("redis://127.0.0.1:1/0", service=module.name)) as nowhere:
        assert step(ground.database, outbox, nowhere) == AFTER_A_FAULT


def test_the_relay_puts_away_what_is_long_done(ground: Ground, module: Module) -> None:
    published(ground, 1)
    ground.sql("update ground.outbox set state = 'done', due_at = clock_timestamp() - interval '8 days'")
    with running(run_relay, module, ground.settings):
        assert until(lambda: ground.sql("select id from ground.outbox") == [])


IDLE = "select extract(epoch from current_setting('idle_in_transaction_session_timeout')::interval)::float"


def test_a_worker_that_is_stopped_in_the_middle_loses_what_it_holds_after_three_seconds(
    ground: Ground, module: Module
) -> None:
    limits = list[float]()

    def ask(session: Session, _event: Event) -> None:
        limits.append(session.execute(text(IDLE)).scalar_one())

    asking = replace(module, tasks={"grant.ended": ask})
    with running(run_relay, module, ground.settings), running(run_worker, asking, ground.settings):
        published(ground, 1)
        assert until(lambda: limits == [3.0])


def test_a_relay_does_too(ground: Ground, module: Module) -> None:
    def idle(session: Session) -> dict[str, float]:
        return {"idle_limit": session.execute(text(IDLE)).scalar_one()}

    settings = ground.settings.model_copy(update={"metrics_port": free_port()})
    asked = replace(module, gauges=(idle,))

    line = f'idle_limit{{service="{module.name}"}} 3.0'

    def shown() -> bool:
        with suppress(httpx.HTTPError):
            return line in httpx.get(f"http://127.0.0.1:{settings.metrics_port}/metrics").text
        return False

    with running(run_relay, asked, settings):
        assert until(shown)


def test_with_nothing_to_do_the_relay_waits_a_little(ground: Ground, module: Module) -> None:
    with closing(Transport(ground.settings.redis_url, service=module.name)) as transport:
        assert step(ground.database, outbox, transport) == INTERVAL


@pytest.mark.parametrize("role", [run_relay, run_worker])
def test_a_service_without_events_has_neither_relay_nor_worker(
    role: Callable[[Module, ServiceSettings, Flag], None], ground: Ground, module: Module
) -> None:
    with pytest.raises(ValueError, match="publishes no events"):
        role(replace(module, outbox=None), ground.settings, Flag())
