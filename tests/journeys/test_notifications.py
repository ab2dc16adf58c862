"""Nobody is told twice and nobody is forgotten, whatever is killed or emptied between a decision and an inbox."""

import os
import signal
import time
from collections.abc import Iterator
from contextlib import closing
from typing import Any, cast

import httpx
import psycopg
import pytest

from shared.outbox import LEASE
from tests.conftest import cloned
from tests.world import World, running_world, until

REQUESTS = "/v1/access-requests"
RECOVERY = LEASE.total_seconds() + 5
REFUSAL = {"outcome": "refuse", "reason": "Only a test."}


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """A platform whose processes may be killed."""
    with cloned() as stores, running_world(stores, tmp_path_factory.mktemp("world")) as world:
        yield world


def _ask(quant: httpx.Client) -> str:
    answer = quant.post(REQUESTS, json={"dataset": "ETH", "frequencies": ["1d"]})
    assert answer.status_code == 201, answer.text
    return str(answer.json()["id"])


def _refuse(ops: httpx.Client, request: str) -> None:
    answer = ops.post(f"{REQUESTS}/{request}/decisions", json=REFUSAL)
    assert answer.status_code == 200, answer.text


def _told(world: World, *requests: str) -> list[tuple[str, str]]:
    """Every inbox row about these requests: its recipient and its type."""
    query = "select recipient, type from entitlements.notifications where data->>'request' = any(%s) order by number"
    with closing(psycopg.connect(world.env["TICKGATE_DATABASE_URL"], autocommit=True)) as connection:
        return connection.execute(query, [list(requests)]).fetchall()


def _outbox(world: World) -> dict[str, int]:
    """How many events are in which state."""
    with closing(psycopg.connect(world.env["TICKGATE_DATABASE_URL"], autocommit=True)) as connection:
        return dict(connection.execute("select state, count(*) from entitlements.outbox group by state").fetchall())


def _all_done(world: World) -> bool:
    return set(_outbox(world)) == {"done"}


def _kill(world: World, name: str) -> None:
    child = world.platform.children[name]
    os.kill(child.pid, signal.SIGKILL)
    assert child.wait(5) == -signal.SIGKILL


def _restart(world: World, name: str) -> None:
    world.platform.start(name)
    world.platform.await_ready(name)


def _await_recovery(world: World, request: str) -> None:
    """Everything is told within a lease and a little, counted from the moment that all processes are ready again."""
    ready = time.monotonic()
    until(lambda: len(_told(world, request)) == 2 and _all_done(world), "both notifications")
    assert time.monotonic() - ready < RECOVERY


def _account(quant: httpx.Client) -> str:
    return str(quant.get("/v1/me").json()["account"])


def test_ops_is_told_of_a_request_and_the_quant_of_the_decision_once_each(
    world: World, ops: httpx.Client, quant: httpx.Client
) -> None:
    request = _ask(quant)
    until(lambda: _told(world, request), "Ops' notification")
    assert _told(world, request) == [("ops", "access.requested")]
    assert quant.get("/v1/notifications").json()["data"] == []
    _refuse(ops, request)
    inbox = cast("list[dict[str, Any]]", until(lambda: quant.get("/v1/notifications").json()["data"], "the decision"))
    assert [(row["type"], row["data"]["request"]) for row in inbox] == [("access.decided", request)]
    assert inbox[0]["data"]["decisions"][0]["outcome"] == "refused"
    of_ops = [row for row in ops.get("/v1/notifications?limit=500").json()["data"] if row["data"]["request"] == request]
    assert [row["type"] for row in of_ops] == ["access.requested"]
    until(lambda: _all_done(world), "the outbox's end")
    assert _told(world, request) == [("ops", "access.requested"), (_account(quant), "access.decided")]


@pytest.mark.parametrize("name", ["worker", "relay"])
def test_a_process_killed_before_the_decision_and_started_after_it_tells_once(
    world: World, ops: httpx.Client, quant: httpx.Client, name: str
) -> None:
    request = _ask(quant)
    until(lambda: _told(world, request), "Ops' notification")
    _kill(world, name)
    _refuse(ops, request)
    assert _told(world, request) == [("ops", "access.requested")]
    _restart(world, name)
    _await_recovery(world, request)
    assert sorted(_told(world, request)) == sorted([("ops", "access.requested"), (_account(quant), "access.decided")])
