"""Requests, decisions about them by people who are stubborn, and what inboxes then say."""

import time
from contextlib import closing
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import httpx
import psycopg

from shared.ids import new_id
from tests.world import World

REFUSAL = {"outcome": "refuse", "reason": "Only a test."}


def sql(world: World, statement: str, *values: Any) -> list[tuple[Any, ...]]:
    """Run one statement as the database's owner."""
    with closing(psycopg.connect(world.env["TICKGATE_DATABASE_URL"], autocommit=True)) as connection:
        cursor = connection.execute(statement.encode(), values)
        return cursor.fetchall() if cursor.description else []


def asked(world: World, count: int) -> list[UUID]:
    """Requests that Ops has to decide, of as many accounts."""
    rows = [(new_id(), new_id(), new_id()) for _ in range(count)]
    now, later = datetime.now(UTC), datetime.now(UTC) + timedelta(days=7)
    with closing(psycopg.connect(world.env["TICKGATE_DATABASE_URL"], autocommit=True)) as connection:
        cursor = connection.cursor()
        cursor.executemany(
            "insert into entitlements.accounts (id, name, role) values (%s, %s, 'quant')",
            [(account, str(account)) for account, _, _ in rows],
        )
        cursor.executemany(
            "insert into entitlements.access_requests (id, account, dataset, trial, created_at, lapse_at) "
            "values (%s, %s, 'BTC', false, %s, %s)",
            [(request, account, now, later) for account, request, _ in rows],
        )
        cursor.executemany(
            "insert into entitlements.request_items (id, request_id, account, dataset, frequency, status, lapse_at) "
            "values (%s, %s, %s, 'BTC', '1d', 'pending', %s)",
            [(item, request, account, later) for account, request, item in rows],
        )
    return [request for _, request, _ in rows]


def decide(ops: httpx.Client, request: UUID | str) -> None:
    """Refuse, as often as it takes; that it was decided already means that an answer was lost on its way."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        try:
            answer = ops.post(f"/v1/access-requests/{request}/decisions", json=REFUSAL)
        except httpx.TransportError:
            time.sleep(0.1)
            continue
        if answer.status_code == 200 or answer.json()["code"] == "already-decided":
            return
        assert answer.status_code == 503, answer.text
        time.sleep(0.1)
    raise AssertionError("no decision within a minute")


def hurried(world: World, statement: str, *values: Any) -> list[tuple[Any, ...]]:
    """The same, once nothing is waited for any more: neither the end of a lease nor the time after a failure."""
    sql(world, "update entitlements.outbox set due_at = clock_timestamp() where state in ('pending', 'sent')")
    return sql(world, statement, *values)


def told(world: World, requests: list[UUID]) -> int:
    """How many inbox rows speak of these requests; each must have one."""
    query = "select count(*) from entitlements.notifications where (data->>'request')::uuid = any(%s)"
    return int(sql(world, query, requests)[0][0])


def all_told(world: World, requests: list[UUID]) -> bool:
    """Whether nothing is on its way any more."""
    under_way = "select count(*) from entitlements.outbox where state <> 'done' and type = 'access.decided'"
    return told(world, requests) >= len(requests) and sql(world, under_way) == [(0,)]


def undecided(world: World, requests: list[UUID]) -> bool:
    """Whether nothing was begun of them."""
    decided = "select count(*) from entitlements.request_items where request_id = any(%s) and decided_at is not null"
    return sql(world, decided, requests) == [(0,)]


def told_once_each(world: World, requests: list[UUID]) -> bool:
    """None missing, none twice."""
    query = """
        select count(*), count(distinct data->>'request'), count(distinct event_id)
        from entitlements.notifications where (data->>'request')::uuid = any(%s)
    """
    return sql(world, query, requests) == [(len(requests),) * 3]
