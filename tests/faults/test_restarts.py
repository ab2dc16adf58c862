"""O2: PostgreSQL and Redis restart under load: no acknowledged write is lost, and all is ready again by itself."""

import shutil
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from threading import Event as Flag
from uuid import UUID

import httpx
import pytest

from cli.migrate import migrate
from cli.settings import OperatorSettings
from tests.conftest import Stores, new_folder
from tests.faults.deciding import all_told, asked, decide, sql, told_once_each
from tests.faults.queueing import Queue
from tests.postgres import Postgres
from tests.proof import figure
from tests.world import World, running_world, until

DECIDERS = 4
AWAY_SECONDS = 1.0
READY_AGAIN = 30.0


@pytest.fixture(scope="module")
def postgres() -> Iterator[Postgres]:
    """A server of this module's own."""
    home = new_folder()
    with closing(Postgres(home)) as postgres:
        postgres.start()
        yield postgres
    shutil.rmtree(home, ignore_errors=True)


@pytest.fixture(scope="module")
def queue(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Queue]:
    """A queue of this module's own."""
    queue = Queue(tmp_path_factory.mktemp("queue"))
    queue.start()
    yield queue
    queue.kill()


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory, postgres: Postgres, queue: Queue) -> Iterator[World]:
    """A platform on them."""
    stores = Stores(postgres.url, f"redis://127.0.0.1:{queue.port}/0")
    names = {name.removeprefix("TICKGATE_").lower(): value for name, value in stores.environment().items()}
    migrate(OperatorSettings.model_validate(names))
    with running_world(stores, tmp_path_factory.mktemp("world")) as world:
        yield world


@contextmanager
def under_load(world: World) -> Iterator[list[UUID]]:
    """Decide without a pause for as long as the block lasts; what was acknowledged is in the list."""
    requests, over, acknowledged = iter(asked(world, 5_000)), Flag(), list[UUID]()

    def go_on(ops: httpx.Client) -> None:
        while not over.is_set():
            request = next(requests)
            decide(ops, request)
            acknowledged.append(request)

    with world.person("ops") as ops, ThreadPoolExecutor(DECIDERS) as people:
        under_way = [people.submit(go_on, ops) for _ in range(DECIDERS)]
        try:
            yield acknowledged
        finally:
            over.set()
        for one in under_way:
            one.result()


def is_ready(world: World) -> bool:
    """Whether every process says so."""
    return all(httpx.get(process.ready_url).status_code == 200 for process in world.platform.processes.values())


def restart(world: World, what: Postgres | Queue) -> list[UUID]:
    """Kill a store under load and start it again; nobody helps the platform. What was acknowledged, all told."""
    pids = {name: child.pid for name, child in world.platform.children.items()}
    with under_load(world) as acknowledged:
        until(lambda: len(acknowledged) >= 20, "the load")
        what.kill()
        until(lambda: not is_ready(world), "that it is missed")
        time.sleep(AWAY_SECONDS)
        before = len(acknowledged)
        what.start()
        started = time.monotonic()
        until(lambda: is_ready(world), "that all is ready")
        seconds = time.monotonic() - started
        assert seconds < READY_AGAIN
        until(lambda: len(acknowledged) >= before + 20, "that it goes on")
    until(lambda: all_told(world, acknowledged), "all that is to be told")
    world.platform.check()
    assert {name: child.pid for name, child in world.platform.children.items()} == pids
    figure("O2", killed=type(what).__name__, acknowledged=acknowledged, ready_after_seconds=round(seconds, 1))
    return acknowledged


def assert_kept(world: World, acknowledged: list[UUID]) -> None:
    """Each is decided, and told once."""
    refused = "select count(*) from entitlements.request_items where status = 'refused' and request_id = any(%s)"
    assert sql(world, refused, acknowledged) == [(len(acknowledged),)]
    assert told_once_each(world, acknowledged)


def test_o2_postgres_is_killed_under_load_no_acknowledged_write_is_lost_and_all_is_ready_again(
    world: World, postgres: Postgres
) -> None:
    assert_kept(world, restart(world, postgres))


def test_o2_redis_is_killed_under_load_writes_go_on_and_all_is_ready_again(world: World, queue: Queue) -> None:
    assert_kept(world, restart(world, queue))
