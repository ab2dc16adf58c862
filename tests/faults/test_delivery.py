"""D1 to D4: whatever is killed, emptied, filled, cut or locked between a decision and its inbox, it is told once.

The long form of D1, 10,200 decisions and 102 kills, and the stop of a whole minute run with TICKGATE_PROOF=1.
"""

import json
import os
import signal
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, contextmanager, nullcontext
from dataclasses import replace
from http.server import BaseHTTPRequestHandler
from itertools import cycle
from threading import Event as Flag
from typing import Any
from uuid import UUID

import httpx
import psycopg
import pytest
import redis
from standardwebhooks import Webhook as Verifier

from cli.embedded.children import Child, free_port
from services.entitlements.deliveries.service import AT_ONCE
from services.entitlements.module import module as entitlements
from services.entitlements.webhooks.service import MOST
from shared.ids import new_id
from shared.outbox import LEASE, MAX_ATTEMPTS, SPREAD
from shared.worker import ERRAND_THREADS
from tests.cli.conftest import tickgate
from tests.conftest import cloned
from tests.faults.deciding import all_told, asked, decide, hurried, sql, told, told_once_each
from tests.faults.queueing import Line, Queue
from tests.proof import PROOF, figure
from tests.services.entitlements.webhooks.receivers import receiving, saying
from tests.world import World, running_world, until

CLOCKS = ("announcer", "scheduler")  # nothing here waits for a time of day
DECISIONS, KILLS = (10_200, 102) if PROOF else (204, 6)  # in turns of three, so that a worker's is the last
LOCKED_SECONDS = 30.0
STOPPED_SECONDS = 60.0 if PROOF else 1.0
RECOVERY = 30.0
LEASES_OVER = "update entitlements.outbox set due_at = clock_timestamp() where state in ('sent', 'working')"


@pytest.fixture(scope="module")
def queue(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Queue]:
    """A queue of this module's own."""
    queue = Queue(tmp_path_factory.mktemp("queue"))
    queue.start()
    yield queue
    queue.kill()


@pytest.fixture(scope="module")
def line(queue: Queue) -> Iterator[Line]:
    """How the platform reaches the queue."""
    with closing(Line(queue.port)) as line:
        yield line


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory, line: Line) -> Iterator[World]:
    """A platform, every service in a process of its own, to be killed."""
    with cloned() as stores:
        ours = replace(stores, redis_url=f"redis://127.0.0.1:{line.port}/0")
        folder = tmp_path_factory.mktemp("world")
        with running_world(ours, folder, home="apart", without=CLOCKS, TICKGATE_WEBHOOKS_ANYWHERE="true") as world:
            yield world


def kill(world: World, name: str) -> None:
    """End a process without a word, and start it again."""
    child = world.platform.children[name]
    os.kill(child.pid, signal.SIGKILL)
    assert child.wait(5) == -signal.SIGKILL
    world.platform.start(name)


@contextmanager
def inboxes_held(world: World) -> Iterator[None]:
    """Nobody is told anything meanwhile, for less than the second that a worker waits: what is told is at work."""
    with psycopg.connect(world.env["TICKGATE_DATABASE_URL"]) as holding:
        holding.execute("select 1 from entitlements.inbox_order for update")
        yield
        holding.rollback()


def at_work(world: World) -> set[tuple[UUID, int]]:
    """Which events are, or were when their worker died, and at which attempt."""
    return {(id_, n) for id_, n in sql(world, "select id, attempts from entitlements.outbox where state = 'working'")}


def decide_and_kill(world: World, ops: httpx.Client, requests: list[UUID], name: str) -> tuple[int, float]:
    """Kill a process in the middle of decisions, the worker while it tells of one: how many it told of, and when."""
    world.platform.await_ready(name)
    before = at_work(world)  # what died with the worker before is not counted again
    with ThreadPoolExecutor(4) as deciders:
        with inboxes_held(world) if name == "worker" else nullcontext():
            under_way = [deciders.submit(decide, ops, request) for request in requests]
            under_way[0 if name == "worker" else len(requests) // 3].result()
            if name == "worker":
                until(lambda: at_work(world) - before, "an event at work")
            kill(world, name)
            died, hit = time.monotonic(), len(at_work(world) - before)
        for decision in under_way:
            decision.result()
    return hit, died


def recovered(world: World, requests: list[UUID], since: float, within: float = RECOVERY) -> float:
    """Wait until all is told; the seconds that took, which have to be few. The short form may hurry leases."""
    while not all_told(world, requests):
        if not PROOF and within > RECOVERY:
            hurried(world, "select 1")
        assert time.monotonic() - since < within, sql(
            world, "select state, attempts, error, count(*) from entitlements.outbox group by 1, 2, 3"
        )
        time.sleep(0.1)
    assert told_once_each(world, requests)
    return time.monotonic() - since


def test_d1_each_decision_is_told_once_while_api_relay_and_worker_are_killed(world: World) -> None:
    requests = asked(world, DECISIONS)
    chunk, names, last_kill, hits = DECISIONS // KILLS, cycle(("entitlements", "relay", "worker")), 0.0, list[int]()
    with world.person("ops") as ops:
        for turn in range(KILLS):
            name = next(names)
            hit, last_kill = decide_and_kill(world, ops, requests[turn * chunk : (turn + 1) * chunk], name)
            if name == "worker":
                hits.append(hit)
                if not PROOF:  # else their leases run out
                    sql(world, LEASES_OVER)
    seconds = recovered(world, requests, since=last_kill)
    attempts = sql(world, "select max(attempts), sum(attempts) - count(*) from entitlements.outbox")[0]
    assert all(hits)
    assert attempts[1] >= sum(hits)
    figure(
        "D1",
        decisions=DECISIONS,
        kills=KILLS,
        workers_killed=hits,
        events_at_work_in_them=sum(hits),
        told=told(world, requests),
        seconds_after_the_last_kill=round(seconds, 1),
        events_tried_again=attempts[1],
        most_attempts=attempts[0],
    )
    for name in ("entitlements", "relay", "worker"):
        world.platform.await_ready(name)


@contextmanager
def stopped(world: World, name: str = "worker") -> Iterator[None]:
    """A process stands still meanwhile, whatever it is at."""
    process = world.platform.children[name].pid
    os.kill(process, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(process, signal.SIGCONT)


def held(queue: Queue) -> int:
    """How many ids the queue holds."""
    return queue.client.llen(f"dramatiq:{entitlements.name}-outbox")


def test_d2_a_queue_that_is_emptied_loses_nothing(world: World, queue: Queue) -> None:
    until(lambda: not held(queue), "an empty queue")
    requests, lost = asked(world, 30), 0
    with world.person("ops") as ops, stopped(world):
        for number, request in enumerate(requests):
            decide(ops, request)
            if number % 10 == 9:
                lost += until(lambda: held(queue), "ids in the queue")
                queue.client.flushall()
    seconds = recovered(world, requests, time.monotonic(), within=60)
    figure("D2", queue_was="emptied", ids_lost=lost, told=len(requests), seconds_after=round(seconds, 1))


def test_d2_a_queue_that_dies_with_all_it_held_loses_nothing_and_the_api_goes_on(world: World, queue: Queue) -> None:
    until(lambda: not held(queue), "an empty queue")
    requests = asked(world, 30)
    with world.person("ops") as ops, stopped(world):
        for request in requests[:3]:
            decide(ops, request)
        lost = until(lambda: held(queue), "ids in the queue")
        queue.kill()
        started = time.monotonic()
        for request in requests[3:]:
            decide(ops, request)
        assert time.monotonic() - started < 10
        queue.start()
    seconds = recovered(world, requests, time.monotonic(), within=60)
    figure("D2", queue_was="killed", ids_lost=lost, told=len(requests), seconds_after=round(seconds, 1))


def test_d2_a_queue_that_is_full_loses_nothing_and_the_api_goes_on(world: World, queue: Queue) -> None:
    requests = asked(world, 10)
    queue.client.config_set("maxmemory", "1")
    with pytest.raises(redis.OutOfMemoryError):
        queue.client.set("any", "thing")
    with world.person("ops") as ops:
        for request in requests:
            decide(ops, request)
    time.sleep(1)
    assert told(world, requests) == 0
    queue.client.config_set("maxmemory", "0")
    seconds = recovered(world, requests, time.monotonic(), within=60)
    figure("D2", queue_was="full", told=len(requests), seconds_after=round(seconds, 1))


def test_d2_a_message_whose_hand_over_is_cut_is_handed_over_again(world: World, line: Line) -> None:
    requests = asked(world, 10)
    line.cut.set()
    with world.person("ops") as ops:
        for request in requests:
            decide(ops, request)
    until(lambda: line.cuts, "a cut")
    line.cut.clear()
    seconds = recovered(world, requests, time.monotonic(), within=60)
    figure("D2", queue_was="cut", told=len(requests), seconds_after=round(seconds, 1))


def test_d3_a_poisonous_event_is_run_five_times_then_dead_while_others_go_on_and_replaying_it_works(
    world: World,
) -> None:
    poison, requests = new_id(), asked(world, 5)
    one = "select state, attempts from entitlements.outbox where id = %s"
    put = "insert into entitlements.outbox (id, type, payload) values (%s, 'access.decided', '{}')"
    sql(world, put, poison)
    with world.person("ops") as ops:
        for request in requests:
            decide(ops, request)
    until(lambda: told(world, requests) == len(requests), "the others")
    until(lambda: hurried(world, one, poison)[0][0] == "dead", "its end")
    assert sql(world, one, poison) == [("dead", 5)]

    env = {**os.environ, **world.env}
    listed = json.loads(tickgate("outbox", "list", "--json", env=env).stdout)
    assert [(e["id"], e["attempts"], e["reason"]) for e in listed["dead"]] == [
        (str(poison), 5, "KeyError('recipient')")
    ]
    payload = json.dumps({"recipient": "ops", "data": {"request": str(poison)}})
    sql(world, "update entitlements.outbox set payload = %s where id = %s", payload, poison)
    assert json.loads(tickgate("outbox", "replay", str(poison), "--json", env=env).stdout) == {"replayed": 1}
    recovered(world, [poison], time.monotonic())
    again = tickgate("outbox", "replay", str(poison), env=env)
    assert "no such event" in again.stderr


def test_d3_what_is_at_work_in_a_worker_that_stands_still_is_taken_over_by_another_and_each_is_told_once(
    world: World,
) -> None:
    requests = asked(world, 21)
    with world.person("ops") as ops:
        with standing_still(world, ops, requests[0]) as at_work_there:
            since = time.monotonic()
            for request in requests[1:-1]:
                decide(ops, request)
            if not PROOF:  # leases that run out at once
                sql(world, LEASES_OVER)
            with another_worker(world):
                recovered(world, requests[:-1], time.monotonic(), within=60)
            seconds = time.monotonic() - since
            attempts = "select state, attempts from entitlements.outbox where id = any(%s)"
            assert sql(world, attempts, at_work_there) == [("done", 2)]
            time.sleep(max(0.0, STOPPED_SECONDS - seconds))
        decide(ops, requests[-1])  # the one that goes on tells it: there is no other any more
    recovered(world, requests, time.monotonic(), within=(LEASE + SPREAD).total_seconds() + 10)
    figure("D3", worker_stood_still_for=STOPPED_SECONDS, told=len(requests), by_another_after=round(seconds, 1))


@contextmanager
def another_worker(world: World) -> Iterator[None]:
    """A second one beside the platform's."""
    process, port = world.platform.processes["worker"], free_port()
    env = {**process.env, "TICKGATE_METRICS_PORT": str(port)}
    child = Child.spawn([sys.executable, "-m", *process.module], env=env, log=world.logs / "another-worker.log")
    try:
        until(lambda: "worker started" in child.tail(), "another worker")
        yield
    finally:
        child.stop()


@contextmanager
def standing_still(world: World, ops: httpx.Client, request: UUID) -> Iterator[list[UUID]]:
    """The platform's worker does, in the middle of telling of this: the events that it has at work."""
    with ExitStack() as still:
        with inboxes_held(world):
            decide(ops, request)
            until(lambda: at_work(world), "an event at work")
            still.enter_context(stopped(world))
        yield [event for event, _ in at_work(world)]


def test_inboxes_that_are_locked_for_long_give_up_no_event_and_it_is_told_once(world: World) -> None:
    requests, before = asked(world, 1), put_off(world)
    with world.person("ops") as ops, psycopg.connect(world.env["TICKGATE_DATABASE_URL"]) as holding:
        holding.execute("select 1 from entitlements.inbox_order for update")
        decide(ops, requests[0])
        started = time.monotonic()
        if PROOF:
            time.sleep(LOCKED_SECONDS)
        else:  # more attempts than an event has, without the time in between
            until(lambda: hurried(world, "select 1") and put_off(world) > before + MAX_ATTEMPTS, "its being put off")
        locked = time.monotonic() - started
        assert (told(world, requests), put_off(world) > before) == (0, True)
        holding.rollback()
    seconds = recovered(world, requests, time.monotonic(), within=60)
    figure("locked inboxes", seconds_locked=round(locked), told=len(requests), seconds_after=round(seconds, 1))


def put_off(world: World) -> int:
    """How often the worker found the database too busy for an event."""
    return (world.logs / "worker.log").read_text().count("database unavailable")


def test_d4_receivers_that_hang_keep_nobody_from_an_inbox_or_a_receiver_that_answers(world: World) -> None:
    over = Flag()

    def hang(_request: BaseHTTPRequestHandler) -> None:
        over.wait(20)

    with (
        receiving(hang) as slow,
        receiving(saying(204)) as good,
        world.person("ops") as ops,
        world.person("admin") as admin,
        quant(world, admin) as ada,
        quant(world, admin) as ben,
    ):
        for _ in range(MOST):
            assert ada.post("/v1/webhooks", json={"url": slow.url}).status_code == 201
        hook = ben.post("/v1/webhooks", json={"url": good.url}).json()
        decided = [
            who.post("/v1/access-requests", json={"dataset": "BTC", "frequencies": ["1d"]}).json()["id"]
            for who in (ada, ben)
        ]
        decide(ops, decided[0])
        until(lambda: slow.messages, "an attempt that hangs")
        decide(ops, decided[1])
        since = time.monotonic()
        [told] = until(lambda: ben.get("/v1/notifications").json()["data"], "the inbox")
        until(lambda: good.messages, "the message")
        assert time.monotonic() - since < 10
        assert 0 < len(slow.messages) <= AT_ONCE < ERRAND_THREADS < MOST
        _, headers, body = good.messages[0]
        message = Verifier(hook["secret"]).verify(body, headers)
        assert (message["type"], message["data"]) == (told["type"], told["data"])
        path = f"/v1/webhooks/{hook['id']}/deliveries"
        [delivery] = until(lambda: delivered(ben, path), "the log")
        assert [attempt["status"] for attempt in delivery["attempts"]] == [204]
        over.set()
        until(lambda: len(slow.messages) == MOST, "the attempts that had to wait")


def quant(world: World, admin: httpx.Client) -> httpx.Client:
    """Somebody new."""
    key = admin.post("/v1/api-keys", json={"name": f"Quant {new_id()}", "role": "quant"}).json()["key"]
    return httpx.Client(base_url=world.platform.url, headers={"X-API-Key": key}, timeout=20)


def delivered(ada: httpx.Client, path: str) -> list[dict[str, Any]]:
    """What the log says has arrived."""
    return [one for one in ada.get(path).json()["data"] if one["state"] == "delivered"]
