"""A memory that is kept coherent: one question at a time, given up after its window."""

import asyncio
import time
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime
from uuid import uuid4

import psycopg
import pytest

from shared.coherence.following import SchemaOwner, following
from shared.coherence.memory import Memory, Question
from shared.coherence.stamp import WINDOW, Changes, Stamp
from tests.shared.ground import Ground, feed

pytestmark = pytest.mark.anyio
EPOCH = uuid4()
STAMP = Stamp(EPOCH, 0)


class Scripted:
    """Answers after a delay, from the nonce it was asked with or another."""

    def __init__(self) -> None:
        self.delay = 0.0
        self.nonce: Callable[[str], str] = lambda nonce: nonce
        self.open = self.most = self.asked = 0
        self.fails = False

    async def ask(self, question: Question) -> tuple[str, Changes]:
        self.asked += 1
        self.open += 1
        self.most = max(self.most, self.open)
        try:
            await asyncio.sleep(self.delay)
        finally:
            self.open -= 1
        if self.fails:
            raise OSError
        return self.nonce(question.nonce), Changes(EPOCH, 0, 0, [], datetime.now(UTC))


async def trusted(memory: Memory[str], *, within: float = 2.0) -> bool:
    """Whether the memory comes to say yes."""
    end = time.monotonic() + within
    while time.monotonic() < end:
        memory.remember("cell", "yes", until=None, stamp=STAMP)
        if memory.recall("cell"):
            return True
        await asyncio.sleep(0.01)
    return False


async def test_a_memory_is_trusted_while_its_questions_are_answered() -> None:
    memory: Memory[str] = Memory()
    owner = Scripted()
    async with following(memory, owner):
        assert await trusted(memory)
        owner.fails = True
        await asyncio.sleep(2 * WINDOW)
        assert memory.recall("cell") is None
        owner.fails = False
        assert await trusted(memory)
    assert owner.most == 1
    await asyncio.sleep(WINDOW + 0.01)
    assert memory.recall("cell") is None


async def test_a_question_older_than_the_window_is_given_up_and_the_next_is_asked() -> None:
    memory: Memory[str] = Memory()
    owner = Scripted()
    owner.delay = WINDOW + 0.5
    async with following(memory, owner):
        assert not await trusted(memory, within=1.5)
        assert owner.asked >= 2
        owner.delay = 0.0
        assert await trusted(memory)
    assert owner.most == 1


async def test_an_answer_to_another_question_is_not_taken() -> None:
    memory: Memory[str] = Memory()
    owner = Scripted()
    owner.nonce = lambda nonce: nonce[::-1] + "x"
    async with following(memory, owner):
        assert not await trusted(memory, within=0.5)


async def test_our_own_schema_is_asked_over_a_connection_that_is_closed_when_it_hangs(ground: Ground) -> None:
    memory: Memory[str] = Memory()
    [(epoch,)] = ground.sql("select epoch from ground.coherence")
    url = str(ground.settings.database)

    async def knows() -> bool:
        end = time.monotonic() + 3
        while time.monotonic() < end:
            memory.remember("cell", "yes", until=None, stamp=Stamp(epoch, 0))
            if memory.recall("cell"):
                return True
            await asyncio.sleep(0.01)
        return False

    with closing(SchemaOwner(url, feed)) as owner:
        async with following(memory, owner):
            assert await knows()
            before = owner._connection
            with psycopg.connect(ground.owner_url) as lock:
                lock.execute("lock table ground.coherence in access exclusive mode")
                await asyncio.sleep(2 * WINDOW)
                assert memory.recall("cell") is None
                assert before is not None
                assert before.closed
                lock.rollback()
            assert await knows()
            ground.sql(
                "select pg_terminate_backend(pid) from pg_stat_activity"
                " where application_name = 'tickgate changes' and datname = current_database()"
            )
            await asyncio.sleep(2 * WINDOW)
            assert await knows()
