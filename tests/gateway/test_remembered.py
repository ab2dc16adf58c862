"""In steady state a read costs no statement about its key or its grant, and the door takes no thread for it."""

import asyncio
import hashlib
import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from uuid import uuid4

import httpx
import pytest
from sqlalchemy import event
from sqlalchemy.engine import Engine
from sqlalchemy.orm import Session
from structlog.testing import capture_logs

from cli.seed import seed_datasets
from gateway.database import feed
from gateway.guard import AGAIN, Guard, KnownKey
from gateway.keys.policy import parse
from gateway.keys.secrets import KeySecrets
from gateway.main import create_gateway
from gateway.routes import QUANT, Route
from gateway.settings import GatewaySettings
from services.catalog.settings import CatalogSettings
from shared.clock import DatabaseClock
from shared.coherence.following import SchemaOwner
from shared.coherence.memory import Memory
from shared.coherence.stamp import Changes, Stamp, boottime
from shared.database import Database
from shared.principal import Principal
from tests.conftest import Stores
from tests.gateway.conftest import CLI, PEPPER, by_itself, key_service
from tests.serving import listening

ROW = Route("GET", "/v1/datasets/{symbol}/prices", "pricing", QUANT)
EPOCH = uuid4()


@contextmanager
def statements() -> Iterator[list[str]]:
    """Every statement of this process but those that go on whether anybody reads or not."""
    seen: list[str] = []

    def note(_connection: object, _cursor: object, statement: str, *_: object) -> None:
        if not by_itself(statement):
            seen.append(statement)

    event.listen(Engine, "before_cursor_execute", note)
    try:
        yield seen
    finally:
        event.remove(Engine, "before_cursor_execute", note)


@pytest.fixture
def url(stores: Stores, environment: Callable[[Stores], dict[str, str]], key_pair: tuple[str, str]) -> Iterator[str]:
    """The whole platform in this process."""
    issuers = {issuer: [key_pair[1]] for issuer in ("gateway", "entitlements", "pricing")}
    env = environment(stores) | {"TICKGATE_IDENTITY_PUBLIC_KEYS": json.dumps(issuers)}
    with pytest.MonkeyPatch.context() as patch:
        for name, value in env.items():
            patch.setenv(name, value)
        seed_datasets(CatalogSettings.load())
        with listening(create_gateway(GatewaySettings.load())) as url:
            yield url


def test_a_hundred_reads_ask_nothing_about_the_key_or_the_grant(url: str, stores: Stores) -> None:
    with key_service(stores) as service:
        quant, ops = (service.create(name=role, role=role, by=CLI) for role in ("quant", "ops"))
    gift = {"account": str(quant.account), "dataset": "BTC", "frequencies": ["1d"], "reason": "Signed"}
    with httpx.Client(base_url=url, headers={"X-API-Key": quant.key}) as client:

        def read() -> int:
            return client.get("/v1/datasets/BTC/prices?frequency=1d").status_code

        assert read() == 403
        assert httpx.post(f"{url}/v1/grants", headers={"X-API-Key": ops.key}, json=gift).status_code == 201
        assert read() == 200
        time.sleep(0.5)
        assert read() == 200
        with statements() as seen:
            assert [read() for _ in range(100)] == [200] * 100
    about = [statement for statement in seen if "gateway." in statement or "entitlements." in statement]
    assert len(about) <= 3  # a read that came after a poll took longer than the window asks, and is right to
    assert len([statement for statement in seen if "pricing." in statement]) >= 100


def known(memory: Memory[KnownKey], secrets: KeySecrets, *, due_in: float = 60) -> str:
    """A key that the memory knows, and trusts."""
    key = secrets.mint().text
    parts = parse(key)
    assert parts is not None
    question = memory.begin()
    assert memory.finish(question.nonce, Changes(EPOCH, 0, 0, [], datetime.now(UTC)))
    digest = hashlib.sha256(parts.secret.encode()).digest()
    value = KnownKey(digest, Principal(role="quant", name="Ada", key=parts.id), boottime() + due_in)
    memory.remember(parts.id, value, until=None, stamp=Stamp(EPOCH, 0))
    return key


def test_a_remembered_key_is_admitted_without_waiting_for_anything() -> None:
    memory: Memory[KnownKey] = Memory()
    secrets = KeySecrets(PEPPER)
    with closing(Database("postgresql://nobody@127.0.0.1:9/none")) as nowhere:
        guard = Guard(nowhere, secrets, memory)
        key = known(memory, secrets)
        admitting = guard.admit({"headers": [(b"x-api-key", key.encode())]}, ROW)
        with pytest.raises(StopIteration) as done:  # it never gives the event loop anything to wait for
            admitting.send(None)
    assert done.value.value.name == "Ada"


def test_another_secret_is_asked_about() -> None:
    memory: Memory[KnownKey] = Memory()
    secrets = KeySecrets(PEPPER)
    with closing(Database("postgresql://nobody@127.0.0.1:9/none")) as nowhere:
        guard = Guard(nowhere, secrets, memory)
        parts = parse(known(memory, secrets))
        assert parts is not None
        assert guard.remembered(parts) is not None
        assert guard.remembered(replace(parts, secret="0" * 43)) is None


def test_a_remembered_key_whose_use_cannot_be_noted_opens_all_the_same() -> None:
    async def story() -> None:
        memory: Memory[KnownKey] = Memory()
        secrets = KeySecrets(PEPPER)
        with (
            closing(Database("postgresql://nobody@127.0.0.1:9/none")) as nowhere,
            closing(Guard(nowhere, secrets, memory)) as guard,
        ):
            key = known(memory, secrets, due_in=0)
            scope = {"headers": [(b"x-api-key", key.encode())]}
            with capture_logs() as logs:
                for _ in range(3):
                    assert (await guard.admit(scope, ROW)).name == "Ada"
                await asyncio.gather(*guard._noting)
            parts = parse(key)
            assert parts is not None
            again = guard.remembered(parts)
        assert [line["event"] for line in logs] == ["the use of a key is not noted"]  # by one look-up, not by three
        assert again is not None
        assert 0 < again.due - boottime() <= AGAIN

    asyncio.run(story())


class Waiting(DatabaseClock):
    """Keeps a look-up that has read its key from coming to an end."""

    def __init__(self) -> None:
        self.asked, self.let_go = threading.Event(), threading.Event()

    def now(self, session: Session) -> datetime:
        """The present instant, later."""
        self.asked.set()
        assert self.let_go.wait(10)
        return super().now(session)


class Careless(Memory[KnownKey]):
    """Keeps whatever a look-up brings."""

    def _may_keep(self, stamp: Stamp) -> bool:  # noqa: ARG002 - that is its fault
        return True


@pytest.mark.parametrize(("memory", "stale"), [(Memory(), False), (Careless(), True)], ids=["as it is", "control"])
def test_r2_a_look_up_that_a_revoke_overtakes_is_not_remembered(
    stores: Stores, memory: Memory[KnownKey], stale: bool
) -> None:
    clock = Waiting()
    with key_service(stores) as service:
        made = service.create(name="Ada", role="quant", by=CLI)
    parts = parse(made.key)
    assert parts is not None

    async def story() -> None:
        with (
            closing(SchemaOwner(stores.app_url("gateway"), feed)) as owner,
            closing(Database(stores.app_url("gateway"))) as database,
            closing(Guard(database, KeySecrets(PEPPER), memory, clock=clock)) as guard,
        ):
            assert memory.finish(*await owner.ask(memory.begin()))
            early = asyncio.create_task(guard.admit({"headers": [(b"x-api-key", made.key.encode())]}, ROW))
            assert await asyncio.to_thread(clock.asked.wait, 10)
            with key_service(stores) as service:
                service.revoke(made.id, CLI)
            assert memory.finish(*await owner.ask(memory.begin()))
            clock.let_go.set()
            assert (await early).name == "Ada"  # it began before
            assert memory.finish(*await owner.ask(memory.begin()))
            assert (guard.remembered(parts) is not None) is stale

    asyncio.run(story())
