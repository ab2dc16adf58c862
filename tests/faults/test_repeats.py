"""W3 and W4: many equal POSTs at once, and a service killed around its COMMIT; under a key there is one effect."""

import os
import signal
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import count
from typing import Any

import httpx
import psycopg
import pytest

from tests.faults.sides import give
from tests.proof import figure
from tests.world import World, until

names = count()
SERVICE = "entitlements"
NAP = "create function public.nap() returns trigger language plpgsql as 'begin perform pg_sleep(1); return new; end'"
AT = {
    "before": "create trigger nap before insert on entitlements.idempotency for each row execute function nap()",
    "in": "create constraint trigger nap after insert on entitlements.idempotency deferrable initially deferred "
    "for each row execute function nap()",
}
NAPPING = "select count(*) from pg_stat_activity where datname = current_database() and wait_event = 'PgSleep'"
Sql = Callable[..., list[tuple[Any, ...]]]


@pytest.fixture
def sql(hostile_world: World) -> Sql:
    """Runs one statement as the database's owner."""

    def run(statement: str, *values: Any) -> list[tuple[Any, ...]]:
        with psycopg.connect(hostile_world.env["TICKGATE_DATABASE_URL"], autocommit=True) as owner:
            cursor = owner.execute(statement.encode(), values)
            return cursor.fetchall() if cursor.description else []

    return run


@dataclass(frozen=True)
class Quant:
    """Somebody who sends every POST under the same key."""

    account: str
    client: httpx.Client

    def ask(self) -> httpx.Response:
        """Ask for access."""
        return self.client.post("/v1/access-requests", json={"dataset": "BTC", "frequencies": ["1h", "1d"]})


@pytest.fixture
def quant(hostile_world: World) -> Iterator[Quant]:
    """A new Quant."""
    with hostile_world.person("admin") as admin:
        made = admin.post("/v1/api-keys", json={"name": f"Quant who repeats {next(names)}", "role": "quant"}).json()
    headers = {"X-API-Key": made["key"], "Idempotency-Key": f"of {made['id']}"}
    with httpx.Client(base_url=hostile_world.platform.url, headers=headers, timeout=20) as client:
        yield Quant(made["account"], client)


def rows(sql: Sql, account: str) -> tuple[int, int, int]:
    """The requests, audit rows and kept answers of an account."""
    found = sql(
        """select (select count(*) from entitlements.access_requests where account = %s::uuid),
            (select count(*) from entitlements.audit_events where actor = %s),
            (select count(*) from entitlements.idempotency where account = %s::uuid)""",
        account,
        account,
        account,
    )
    return (found[0][0], found[0][1], found[0][2])


@contextmanager
def slow_commit(sql: Sql, when: str) -> Iterator[None]:
    """Every transaction that keeps an answer takes a second there."""
    sql(NAP)
    sql(AT[when])
    try:
        yield
    finally:
        sql("drop function nap() cascade")


def kill(world: World) -> None:
    """kill -9 the service, and start it again."""
    child = world.platform.children[SERVICE]
    os.kill(child.pid, signal.SIGKILL)
    child.wait(10)
    world.platform.start(SERVICE)
    world.platform.await_ready(SERVICE)


@pytest.mark.parametrize(("when", "replayed"), [("before", False), ("in", True)])
def test_w4_killed_before_or_in_its_commit_a_repeat_is_done_or_answered_again(
    when: str, replayed: bool, hostile_world: World, sql: Sql, quant: Quant
) -> None:
    """A COMMIT that was sent goes through without the one who sent it; a statement before it does not."""
    account = quant.account
    with ThreadPoolExecutor(1) as pool:
        with slow_commit(sql, when):
            lost: Future[httpx.Response] = pool.submit(quant.ask)
            until(lambda: sql(NAPPING)[0][0], "the nap")
            kill(hostile_world)
            until(lambda: not sql(NAPPING)[0][0], "the end of the nap")
        assert lost.result().status_code == 503
    until(lambda: rows(sql, account) == ((1, 1, 1) if replayed else (0, 0, 0)), "what the transaction came to")

    again = quant.ask()
    assert (again.status_code, "idempotency-replayed" in again.headers) == (201, replayed)
    assert len(again.json()["items"]) == 2
    assert rows(sql, account) == (1, 1, 1)
    assert quant.client.get(again.headers["location"]).json()["id"] == again.json()["id"]
    figure("W4", killed=f"{when} its commit", replayed=replayed, effects=1)


def test_w4_killed_after_its_commit_a_revoke_is_answered_again(hostile_world: World, sql: Sql, quant: Quant) -> None:
    with hostile_world.person("ops") as ops, ThreadPoolExecutor(1) as pool:
        grant = give(ops, quant.account)
        ops.headers["Idempotency-Key"] = grant
        closed = "select count(*) from entitlements.grants where id = %s::uuid and closed_at is not null"

        def revoke() -> httpx.Response:
            return ops.post(f"/v1/grants/{grant}/revoke", json={"reason": "Unpaid"})

        lost = pool.submit(revoke)
        until(lambda: sql(closed, grant)[0][0], "the commit")  # and now it waits, before it answers
        kill(hostile_world)
        assert lost.result().status_code == 503
        again = revoke()

    assert (again.status_code, again.headers["idempotency-replayed"]) == (200, "true")
    assert again.json()["status"] == "revoked"
    assert quant.client.get("/v1/datasets/BTC/prices", params={"frequency": "1d"}).status_code == 403
    assert sql("select count(*) from entitlements.audit_events where subject = %s and action ~ 'revoked'", grant) == [
        (1,)
    ]
    figure("W4", killed="after its commit", replayed=True, effects=1)


def test_w3_fifty_equal_posts_at_once_under_a_key_are_one(sql: Sql, quant: Quant) -> None:
    with ThreadPoolExecutor(50) as crowd:
        answers = list(crowd.map(lambda _: quant.ask(), range(50)))

    done = {a.text for a in answers if a.status_code == 201}
    first = [a for a in answers if a.status_code == 201 and "idempotency-replayed" not in a.headers]
    assert (len(done), len(first)) == (1, 1)
    figure("W3", under_a_key=answers, done_first=first, busy=[a for a in answers if a.status_code == 503])
    assert {a.json().get("code") for a in answers} <= {None, "still-running", "temporarily-unavailable"}
    assert rows(sql, quant.account) == (1, 1, 1)
