"""K7: one key under load: its last use is never more than a minute old, for one UPDATE a minute, without a deadlock."""

import asyncio
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from sqlalchemy import event
from sqlalchemy.orm import Session

from gateway.database import feed
from gateway.guard import Guard, KnownKey
from gateway.keys.policy import KeyParts, parse, render
from gateway.keys.secrets import KeySecrets
from gateway.keys.service import KeyService
from gateway.keys.uses import KeyUses
from gateway.routes import QUANT, Route
from shared.coherence.following import SchemaOwner
from shared.coherence.memory import Memory
from shared.database import Database
from tests.conftest import Stores
from tests.gateway.conftest import CLI, PEPPER
from tests.gateway.keys.standing import StandingClock

NOON = datetime(2030, 1, 1, 12, tzinfo=UTC)
THREADS = 8
EACH_STEP = 48
STEP = timedelta(seconds=5)
MINUTE = timedelta(minutes=1)


@pytest.fixture
def database(stores: Stores) -> Iterator[Database]:
    """A replica's pool of connections."""
    with closing(Database(stores.app_url("gateway"), pool_size=THREADS)) as database:
        yield database


@pytest.fixture
def parts(database: Database) -> KeyParts:
    """A key that was never used."""
    with database.transaction() as session:
        made = KeyService(session, StandingClock(NOON), KeySecrets(PEPPER)).create(name="Ada", role="quant", by=CLI)
    parts = parse(made.key)
    assert parts is not None
    return parts


@contextmanager
def updates(database: Database) -> Iterator[list[str]]:
    """The UPDATE statements that reach the database meanwhile."""
    seen: list[str] = []

    def note(_connection: object, _cursor: object, statement: str, *_: object) -> None:
        if statement.startswith("UPDATE"):
            seen.append(statement)

    event.listen(database.engine, "before_cursor_execute", note)
    yield seen
    event.remove(database.engine, "before_cursor_execute", note)


def test_k7_a_busy_key_costs_one_update_a_minute(database: Database, parts: KeyParts) -> None:
    clock, secrets = StandingClock(NOON), KeySecrets(PEPPER)
    uses = KeyUses(clock.seconds)

    def call(_: int) -> str | None:
        with database.transaction() as session:
            return KeyService(session, clock, secrets, uses).authenticate(parts).key

    recorded = set()
    with ThreadPoolExecutor(THREADS) as threads, updates(database) as seen:
        while clock.instant <= NOON + 3 * MINUTE:
            assert set(threads.map(call, range(EACH_STEP))) == {parts.id}
            with database.transaction() as session:
                last = KeyService(session, clock, secrets).find(parts.id).last_used_at
            assert last is not None
            assert clock.instant - last < MINUTE
            recorded.add(last)
            clock.instant += STEP

    assert recorded == {NOON + n * MINUTE for n in range(4)}
    assert len(seen) == len(recorded)


def record(database: Database, key_id: str, first: KeyUses, second: KeyUses) -> int:
    """How many UPDATEs two uses at once cost; neither waits for the other, or the second would never come to an end."""
    clock, secrets = StandingClock(NOON), KeySecrets(PEPPER)
    with updates(database) as seen, database.transaction() as outer, database.transaction() as inner:
        KeyService(outer, clock, secrets, first).record_use(key_id)
        KeyService(inner, clock, secrets, second).record_use(key_id)
    return len(seen)


def test_k7_the_threads_of_a_process_share_what_is_due(database: Database, parts: KeyParts) -> None:
    shared = KeyUses()
    assert record(database, parts.id, shared, shared) == 1


def test_k7_without_sharing_it_they_would_each_update_but_never_wait(database: Database, parts: KeyParts) -> None:
    assert record(database, parts.id, KeyUses(), KeyUses()) == 2
    with database.transaction() as session:
        assert KeyService(session, StandingClock(NOON), KeySecrets(PEPPER)).find(parts.id).last_used_at == NOON


def test_k7_another_replicas_record_counts(database: Database, parts: KeyParts) -> None:
    clock, secrets = StandingClock(NOON), KeySecrets(PEPPER)
    mine, other = KeyUses(clock.seconds), KeyUses(clock.seconds)

    def use(uses: KeyUses) -> None:
        with database.transaction() as session:
            KeyService(session, clock, secrets, uses).record_use(parts.id)

    use(other)
    clock.instant += timedelta(seconds=40)
    with updates(database) as seen:
        use(mine)
        clock.instant += timedelta(seconds=19)
        use(mine)
        assert len(seen) == 1
        clock.instant += timedelta(seconds=1)
        use(mine)
        assert len(seen) == 2
    with database.transaction() as session:
        assert KeyService(session, clock, secrets).find(parts.id).last_used_at == NOON + MINUTE


class MovingClock(StandingClock):
    """Every statement that asks for the time takes some."""

    def now(self, session: Session) -> datetime:
        """The instant, a millisecond later than before."""
        self.instant += timedelta(milliseconds=1)
        return super().now(session)


def test_k7_a_key_that_is_remembered_under_load_is_noted_every_minute(
    stores: Stores, database: Database, parts: KeyParts
) -> None:
    clock, secrets = MovingClock(NOON), KeySecrets(PEPPER)
    memory: Memory[KnownKey] = Memory(clock=clock.seconds)
    scope = {"headers": [(b"x-api-key", render(parts).encode())]}
    row = Route("GET", "/v1/me", "keys", QUANT)
    noted: list[datetime] = []

    async def story() -> None:
        with (
            closing(SchemaOwner(stores.app_url("gateway"), feed)) as owner,
            closing(Guard(database, secrets, memory, clock=clock, seconds=clock.seconds)) as guard,
        ):
            _, told = await owner.ask(memory.begin())
            for number in range(100 * 60 * 3):  # a hundred requests a second, for three minutes
                clock.instant = NOON + number * timedelta(milliseconds=10)
                memory.finish(memory.begin().nonce, told)
                before = len(seen)
                await guard.admit(scope, row)
                await asyncio.gather(*guard._noting)
                noted.extend([clock.instant] * (len(seen) - before))

    with updates(database) as seen:
        asyncio.run(story())
    ages = [later - earlier for earlier, later in pairwise(noted)]
    assert len(noted) == 3
    assert all(MINUTE <= age < MINUTE + timedelta(milliseconds=50) for age in ages)
