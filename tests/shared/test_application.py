"""A service's application: health, a transaction that ends before its answer, 503 while the database is busy."""

import time
from collections.abc import AsyncIterator
from contextlib import ExitStack
from uuid import uuid4

import httpx
import pytest
from fastapi import APIRouter, FastAPI
from sqlalchemy import insert, text

from shared import identity
from shared.application import Transaction, create_app
from shared.identity import Signer
from shared.principal import Principal
from shared.settings import SettingsMissing
from tests.shared.ground import PRIVATE, Ground, calling, effects, module_named, settings_on

pytestmark = pytest.mark.anyio
QUANT = Principal(role="quant", name="Ada", account=uuid4())


def router() -> APIRouter:
    """Endpoints that use their transaction in every way."""
    router = APIRouter(prefix="/v1")

    @router.post("/effects/{what}", status_code=201)
    def write(what: str, session: Transaction) -> None:
        session.execute(insert(effects).values(what=what))
        if what == "bug":
            raise RuntimeError

    @router.get("/sleep/{seconds}")
    def sleep(seconds: float, session: Transaction) -> None:
        session.execute(text("select pg_sleep(:seconds)"), {"seconds": seconds})

    @router.get("/lock")
    def lock(session: Transaction) -> None:
        session.execute(text("lock table ground.effects in share mode"))

    return router


def service(ground: Ground) -> FastAPI:
    """The made-up service's application."""
    return create_app(module_named(controllers=(router(),)), ground.settings)


@pytest.fixture
async def client(ground: Ground) -> AsyncIterator[httpx.AsyncClient]:
    """A caller whom the gateway let in."""
    token = Signer(PRIVATE, issuer="gateway").token(QUANT, "ground")
    async with calling(service(ground), **{identity.HEADER: token}) as client:
        yield client


async def test_health_needs_no_identity_and_readiness_needs_the_database(ground: Ground) -> None:
    for settings, ready in ((ground.settings, 200), (settings_on(), 503)):
        async with calling(create_app(module_named(), settings)) as client:
            assert (await client.get("/livez")).status_code == 200
            assert (await client.get("/readyz")).status_code == ready


async def test_what_a_request_wrote_is_kept_when_it_answers(client: httpx.AsyncClient, ground: Ground) -> None:
    answer = await client.post("/v1/effects/kept")

    assert answer.status_code == 201
    assert ground.effects() == ["kept"]


async def test_what_a_failing_request_wrote_is_undone(client: httpx.AsyncClient, ground: Ground) -> None:
    answer = await client.post("/v1/effects/bug")

    assert answer.status_code == 500
    assert ground.effects() == []


async def test_a_commit_that_fails_is_not_answered_as_a_success(client: httpx.AsyncClient, ground: Ground) -> None:
    ground.sql("alter table ground.effects add constraint one unique (what) deferrable initially deferred")
    ground.sql("insert into ground.effects (what) values ('twin')")

    answer = await client.post("/v1/effects/twin")

    assert answer.status_code == 500
    assert ground.effects() == ["twin"]


async def test_a_slow_query_is_cut_off_and_answered_503(client: httpx.AsyncClient) -> None:
    started = time.monotonic()
    answer = await client.get("/v1/sleep/10")

    assert time.monotonic() - started < 2.5
    assert answer.status_code == 503
    assert answer.json()["code"] == "temporarily-unavailable"
    assert answer.headers["retry-after"] == "1"
    assert "pg_sleep" not in answer.text
    assert (await client.get("/v1/sleep/0")).status_code == 200


async def test_a_held_lock_is_answered_503_within_two_seconds(client: httpx.AsyncClient, ground: Ground) -> None:
    started = time.monotonic()
    with ground.database.transaction() as session:
        session.execute(insert(effects).values(what="holds the lock"))
        answer = await client.get("/v1/lock")

    assert answer.status_code == 503
    assert time.monotonic() - started < 2


async def test_an_exhausted_pool_is_answered_503_within_a_second(ground: Ground) -> None:
    app = service(ground)
    async with calling(app) as client:
        with ExitStack() as held:
            for _ in range(8):
                held.enter_context(app.state.database.engine.connect())
            started = time.monotonic()
            answer = await client.get("/readyz")
            assert time.monotonic() - started < 1
        assert answer.status_code == 503
        assert (await client.get("/readyz")).status_code == 200


@pytest.mark.parametrize("revision", ["0000", "0002"])
async def test_a_schema_at_another_revision_is_not_ready(revision: str, ground: Ground) -> None:
    ground.sql("update ground.migrations set version_num = %s", revision)
    async with calling(service(ground)) as client:
        answer = await client.get("/readyz")

    assert answer.status_code == 503
    assert answer.json()["code"] == "wrong-revision"
    assert (answer.json()["found"], answer.json()["needed"]) == (revision, "0001")


@pytest.mark.parametrize(
    ("lacking", "named"),
    [
        ({"identity_public_keys": {}}, "TICKGATE_IDENTITY_PUBLIC_KEYS"),
        ({"cursor_secret": "short"}, "TICKGATE_CURSOR_SECRET"),
    ],
)
async def test_without_its_secrets_an_application_does_not_start(lacking: dict[str, object], named: str) -> None:
    with pytest.raises(SettingsMissing, match=named):
        async with calling(create_app(module_named(), settings_on().model_copy(update=lacking))):
            pass
