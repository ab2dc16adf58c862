"""A POST under an Idempotency-Key: done once, answered alike; the answer stands or falls with the effect."""

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any
from uuid import uuid4

import httpx
import pytest
from fastapi import APIRouter, Request, Response
from pydantic import BaseModel
from sqlalchemy import insert, text

from shared import identity
from shared.application import TURNS, Transaction, Transactions, create_app
from shared.coherence.stamp import WINDOW
from shared.errors import Problem
from shared.identity import Signer
from shared.principal import Principal
from tests.conftest import Stores
from tests.services.entitlements.race import wait_for_a_waiter
from tests.shared.ground import PRIVATE, Ground, calling, effects, idempotency, lay, module_named, until

pytestmark = pytest.mark.anyio
ADA, BEN = (Principal(role="quant", name=name, account=uuid4()) for name in ("Ada", "Ben"))
COUNT = "select count(*) from ground.idempotency"
POOL = 8  # connections of an API process
AGE = "update ground.idempotency set created_at = created_at - interval '24 hours'"
Calling = Callable[..., AbstractAsyncContextManager[httpx.AsyncClient]]


class Unwanted(Problem):
    """This is not done."""

    status = 409


class Wish(BaseModel):
    """What to do."""

    what: str


def router() -> APIRouter:
    """Operations with an effect that can be counted, and of several transactions."""
    router = APIRouter(prefix="/v1")

    @router.post("/effects", status_code=201)
    def act(wish: Wish, session: Transaction, response: Response) -> dict[str, Any]:
        session.execute(insert(effects).values(what=wish.what))
        if wish.what == "unwanted":
            raise Unwanted
        response.headers["Location"] = "/v1/effects/1"
        return {"what": wish.what, "at": time.time(), "price": "1.10"}

    @router.post("/secrets", status_code=201)
    def mint(session: Transaction, response: Response) -> dict[str, Any]:
        response.headers["Location"] = "/v1/secrets/7"
        return {"id": 7, "key": "hunter2"}

    @router.post("/empty", status_code=204)
    def empty(session: Transaction) -> None:
        session.execute(insert(effects).values(what="nothing to say"))

    @router.post("/parts")
    def parts(wish: Wish, session: Transaction, request: Request) -> list[str]:
        done = []
        for part in wish.what:
            with request.app.state.database.transaction() as own:
                own.execute(insert(effects).values(what=part))
                done.append(part)
        return done

    @router.get("/effects")
    def read(session: Transaction) -> float:
        return time.time()

    return router


@pytest.fixture(scope="module")
def laid(module_stores: Stores) -> Iterator[Ground]:
    """The service's tables, made once."""
    with lay(module_stores) as laid:
        yield laid


@pytest.fixture
def ground(laid: Ground) -> Ground:
    """The service's tables, empty."""
    laid.sql("truncate ground.effects, ground.idempotency")
    return laid


@pytest.fixture
def calling_as(ground: Ground) -> Calling:
    """Opens a client of the service."""

    @asynccontextmanager
    async def open_as(who: Principal = ADA) -> AsyncIterator[httpx.AsyncClient]:
        app = create_app(module_named(controllers=(router(),), idempotency=idempotency), ground.settings)
        token = Signer(PRIVATE, issuer="gateway").token(who, "ground")
        async with calling(app, **{identity.HEADER: token}) as client:
            yield client

    return open_as


@pytest.fixture
async def client(calling_as: Calling) -> AsyncIterator[httpx.AsyncClient]:
    """A caller whom the gateway let in."""
    async with calling_as() as client:
        yield client


def under(key: str = "once") -> dict[str, str]:
    return {"Idempotency-Key": key}


async def act(
    client: httpx.AsyncClient, what: str = "a", key: str = "once", path: str = "/v1/effects"
) -> httpx.Response:
    return await client.post(path, json={"what": what}, headers=under(key))


async def test_a_repeat_gets_the_first_answer_and_does_nothing(client: httpx.AsyncClient, ground: Ground) -> None:
    first, again = await act(client), await act(client)

    assert (first.status_code, "idempotency-replayed" in first.headers) == (201, False)
    assert (again.status_code, again.headers["idempotency-replayed"]) == (201, "true")
    assert again.content == first.content
    assert again.headers["location"] == first.headers["location"] == "/v1/effects/1"
    assert again.headers["content-type"] == first.headers["content-type"]
    assert ground.effects() == ["a"]


async def test_a_repeat_waits_as_the_first_did_for_what_that_promised(client: httpx.AsyncClient) -> None:
    await act(client)
    started = time.monotonic()
    await act(client)

    assert time.monotonic() - started >= WINDOW


@pytest.mark.parametrize("other", [{"what": "b"}, {"path": "/v1/parts"}, {"path": "/v1/effects?more=1"}])
async def test_another_request_under_the_key_is_refused(
    other: dict[str, str], client: httpx.AsyncClient, ground: Ground
) -> None:
    await act(client)
    refused = await act(client, **other)

    assert (refused.status_code, refused.json()["code"]) == (422, "idempotency-key-reused")
    assert refused.json()["errors"][0]["pointer"] == "/Idempotency-Key"
    assert ground.effects() == ["a"]


async def test_a_key_is_of_its_account(calling_as: Calling, ground: Ground) -> None:
    for who in (ADA, BEN):
        async with calling_as(who) as client:
            assert "idempotency-replayed" not in (await act(client)).headers

    assert ground.effects() == ["a", "a"]


async def test_a_refusal_is_not_kept(client: httpx.AsyncClient, ground: Ground) -> None:
    for _ in range(2):
        assert (await act(client, "unwanted")).json()["code"] == "unwanted"
    assert (await act(client, "a")).status_code == 201

    assert ground.effects() == ["a"]


async def test_an_answer_is_undone_with_its_effect(client: httpx.AsyncClient, ground: Ground) -> None:
    ground.sql("alter table ground.effects add constraint one unique (what) deferrable initially deferred")
    ground.sql("insert into ground.effects (what) values ('a')")
    assert (await act(client)).status_code == 500
    assert ground.sql(COUNT) == [(0,)]

    ground.sql("delete from ground.effects")
    assert (await act(client)).status_code == 201
    assert ground.effects() == ["a"]
    ground.sql("alter table ground.effects drop constraint one")


async def test_without_a_key_or_on_a_get_nothing_is_kept(client: httpx.AsyncClient, ground: Ground) -> None:
    for _ in range(2):
        assert (await client.post("/v1/effects", json={"what": "a"})).status_code == 201
    seen = {(await client.get("/v1/effects", headers=under())).text for _ in range(2)}

    assert len(seen) == 2
    assert ground.effects() == ["a", "a"]
    assert ground.sql(COUNT) == [(0,)]


@pytest.mark.parametrize("key", ["", "x" * 256, "a\tb", "\x7f", "caf\xe9", "twice"])
async def test_a_key_that_is_none_is_refused(key: str, client: httpx.AsyncClient, ground: Ground) -> None:
    headers = [(b"Idempotency-Key", key.encode("latin-1"))] * (2 if key == "twice" else 1)
    refused = await client.post("/v1/effects", json={"what": "a"}, headers=headers)

    assert (refused.status_code, refused.json()["errors"][0]["in"]) == (422, "header")
    assert ground.effects() == []


@pytest.mark.parametrize("key", ["x", "x" * 255, "0198c5d2-5b7e-7c3a-9f10-3f6f3f0f9a11", '"a b"', "~!"])
async def test_anything_printable_is_a_key(key: str, client: httpx.AsyncClient) -> None:
    assert (await act(client, key=key)).status_code == 201


async def test_a_secret_is_shown_once_and_never_stored(client: httpx.AsyncClient, ground: Ground) -> None:
    first = await client.post("/v1/secrets", headers=under())
    again = await client.post("/v1/secrets", headers=under())

    assert first.json() == {"id": 7, "key": "hunter2"}
    assert (again.json()["id"], again.json()["key"]) == (7, None)
    assert "POST /v1/secrets/7/rotate" in again.json()["note"]
    assert "hunter2" not in str(ground.sql("select * from ground.idempotency"))


async def test_an_empty_answer_is_repeated_too(client: httpx.AsyncClient, ground: Ground) -> None:
    answers = [await client.post("/v1/empty", headers=under()) for _ in range(2)]

    assert [(a.status_code, a.content) for a in answers] == [(204, b"")] * 2
    assert ground.effects() == ["nothing to say"]


async def test_after_a_day_the_key_is_new_and_old_rows_go_with_the_next(
    client: httpx.AsyncClient, ground: Ground
) -> None:
    await act(client)
    await act(client, key="another")
    ground.sql(AGE)
    again = await act(client, "b")

    assert (again.status_code, again.json()["what"]) == (201, "b")
    assert ground.effects() == ["a", "a", "b"]
    assert ground.sql("select key from ground.idempotency") == [("once",)]


async def test_an_operation_of_several_transactions_keeps_its_answer_when_all_are_done(
    client: httpx.AsyncClient, ground: Ground
) -> None:
    answers = [await act(client, "xyz", path="/v1/parts") for _ in range(2)]

    assert [a.json() for a in answers] == [["x", "y", "z"]] * 2
    assert ground.effects() == ["x", "y", "z"]


@pytest.mark.parametrize("key", ["once", None])
async def test_w3_of_many_at_once_one_is_done(key: str | None, client: httpx.AsyncClient, ground: Ground) -> None:
    """Without the key, the control, each of them is."""
    headers = {} if key is None else under(key)
    answers = await asyncio.gather(*(client.post("/v1/effects", json={"what": "a"}, headers=headers) for _ in range(8)))

    assert len(ground.effects()) == (8 if key is None else 1)
    done = [a for a in answers if a.status_code == 201 and "idempotency-replayed" not in a.headers]
    assert len(done) == len(ground.effects())
    for answer in answers:
        assert answer.status_code == 201 or answer.json()["code"] == "still-running"
    if key is not None:
        assert (await act(client)).content == done[0].content


async def test_a_twin_is_told_that_the_first_still_runs(client: httpx.AsyncClient, ground: Ground) -> None:
    with ground.database.transaction() as session:
        session.execute(text("lock table ground.effects in exclusive mode"))
        first = asyncio.create_task(act(client))
        await asyncio.to_thread(wait_for_a_waiter, ground.database)
        twin = await act(client)
    assert (await first).status_code == 201

    assert (twin.status_code, twin.json()["code"], twin.headers["retry-after"]) == (409, "still-running", "1")
    assert ground.effects() == ["a"]


class Meeting:
    """Where those stand who hold a connection for their key and are about to take another."""

    def __init__(self) -> None:
        self.there = 0
        self.over = threading.Event()

    def join(self) -> None:
        """Stay until it is over."""
        self.there += 1
        assert self.over.wait(20)


def meeting_router(meeting: Meeting) -> APIRouter:
    """An operation of two transactions, the outer of which keeps its answer."""
    router = APIRouter(prefix="/v1")

    @router.post("/meet", status_code=200)
    def meet(wish: Wish, transactions: Transactions, _kept: Transaction) -> None:
        meeting.join()
        with transactions() as own:
            own.execute(insert(effects).values(what=wish.what))

    @router.get("/effects")
    def read(session: Transaction) -> int:
        return len(session.execute(text("select 1")).all())

    return router


@pytest.mark.parametrize("turns", [TURNS, POOL])
async def test_as_many_keys_at_once_as_there_are_connections_leave_some_for_their_parts_and_for_others(
    turns: int, ground: Ground
) -> None:
    """Where all of them have a turn, the control, they hold every connection, and nobody gets another."""
    meeting = Meeting()
    app = create_app(module_named(controllers=(meeting_router(meeting),), idempotency=idempotency), ground.settings)
    token = Signer(PRIVATE, issuer="gateway").token(ADA, "ground")
    async with calling(app, **{identity.HEADER: token}) as client:
        app.state.turns = asyncio.Semaphore(turns)
        calls = [asyncio.create_task(act(client, key=f"key {n}", path="/v1/meet")) for n in range(POOL)]
        assert await asyncio.to_thread(until, lambda: meeting.there == turns)
        beside = (await client.get("/v1/effects")).status_code
        meeting.over.set()
        answers = [answer.status_code for answer in await asyncio.gather(*calls)]

    if turns == TURNS:
        assert (beside, answers, ground.effects()) == (200, [200] * POOL, ["a"] * POOL)
    else:
        assert beside == 503
        assert 503 in answers
