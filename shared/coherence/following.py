"""Keeps a memory coherent with its owner: asks what has changed, one question at a time, about ten times a second."""

import asyncio
import os
import socket
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, suppress
from datetime import datetime
from typing import Any, Protocol
from urllib.parse import urlencode
from uuid import UUID

import psycopg
import structlog
from sqlalchemy.dialects import postgresql

from shared.coherence.memory import Memory, Question
from shared.coherence.owner import Feed, changes_query
from shared.coherence.stamp import WINDOW, Changes
from shared.upstream import Neighbour

logger = structlog.get_logger(__name__)
EVERY = 0.100
PATH = "/internal/changes"


class Owner(Protocol):
    """Where the changes are told."""

    async def ask(self, question: Question) -> tuple[str, Changes]:
        """The nonce of the question that was answered, and the answer; raises whatever keeps it from us."""
        ...


@asynccontextmanager
async def following(memory: Memory[Any], owner: Owner) -> AsyncIterator[None]:
    """Keep the memory coherent while the block runs."""
    task = asyncio.create_task(_follow(memory, owner))
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def _follow(memory: Memory[Any], owner: Owner) -> None:
    reachable = True
    while True:
        heard = await _ask(memory, owner)
        if heard != reachable:
            reachable = heard
            logger.info("changes are told again") if heard else logger.warning("changes are not told")
        await asyncio.sleep(EVERY if heard else WINDOW)


async def _ask(memory: Memory[Any], owner: Owner) -> bool:
    """One question; after the window it is abandoned: its call is cancelled, and what it still brings is not read."""
    call = asyncio.create_task(_call(memory.begin(), owner))
    try:
        await asyncio.wait({call}, timeout=WINDOW)
        if call.done() and (answer := call.result()) is not None:
            return memory.finish(*answer)
        return False
    finally:
        memory.abandon()
        call.cancel()  # not waited for: a thread that it waits for may take long to end


async def _call(question: Question, owner: Owner) -> tuple[str, Changes] | None:
    """The answer, or nothing: whatever goes wrong on the way, nothing is concluded from it."""
    try:
        return await owner.ask(question)
    except Exception as error:
        logger.debug("a question was not answered", error=repr(error))
        return None


class NeighbourOwner:
    """An owner in another service, asked over its internal API; a call that is given up closes its connection."""

    def __init__(self, neighbour: Neighbour) -> None:
        self._neighbour = neighbour

    async def ask(self, question: Question) -> tuple[str, Changes]:
        """Ask over HTTP; the answer repeats the nonce."""
        asked = {"after": question.after, "epoch": question.epoch, "nonce": question.nonce}
        answer = await self._neighbour.get(PATH, urlencode({k: v for k, v in asked.items() if v is not None}))
        if answer.status != 200:
            raise LookupError(f"the owner answered {answer.status}")
        told = answer.json()
        changes = Changes(
            epoch=UUID(told["epoch"]),
            number=int(told["number"]),
            floor=int(told["floor"]),
            names=[str(name) for name in told["names"]],
            now=datetime.fromisoformat(told["now"]),
        )
        return str(told["nonce"]), changes


class SchemaOwner:
    """An owner whose schema is our own: asked over one connection, which is closed with a question that is given up."""

    def __init__(self, url: str, feed: Feed) -> None:
        self._url = url
        self._feed = feed
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="changes")
        self._connection: psycopg.Connection | None = None
        self._line: socket.socket | None = None

    async def ask(self, question: Question) -> tuple[str, Changes]:
        """Ask the database; the function's own answer is tied to its question, as is its connection."""
        try:
            changes = await asyncio.get_running_loop().run_in_executor(self._thread, self._ask, question)
        except asyncio.CancelledError:
            self._hang_up()
            raise
        return question.nonce, changes

    def close(self) -> None:
        """End the connection and the thread."""
        self._hang_up()
        self._thread.shutdown(wait=True, cancel_futures=True)
        self._close()

    def _ask(self, question: Question) -> Changes:
        connection = self._connected()
        try:
            row = connection.execute(*self._statement(question)).fetchone()
        except psycopg.Error:
            self._close()
            raise
        if row is None:
            raise LookupError("the counter's row is missing")
        return Changes(epoch=row[0], number=row[1], floor=row[2], names=row[3] or [], now=row[4])

    def _connected(self) -> psycopg.Connection:
        if self._connection is None or self._connection.closed:
            self._connection = psycopg.connect(
                self._url,
                autocommit=True,  # each question has a snapshot of its own
                connect_timeout=2,
                application_name="tickgate changes",
                options=f"-c timezone=UTC -c statement_timeout={round(WINDOW * 1000)}",
            )
            # a descriptor of our own: the driver may close its own at any moment, and its number may be another's then
            self._line = socket.socket(fileno=os.dup(self._connection.fileno()))
        return self._connection

    def _statement(self, question: Question) -> tuple[Any, dict[str, Any]]:
        query = changes_query(self._feed, after=question.after, epoch=question.epoch)
        compiled = query.compile(dialect=postgresql.psycopg.dialect())  # type: ignore[no-untyped-call]
        return str(compiled), dict(compiled.params)

    def _hang_up(self) -> None:
        """Cut the line under the thread that waits on it; it then finds its connection closed."""
        if self._line is not None:
            with suppress(OSError):
                self._line.shutdown(socket.SHUT_RDWR)

    def _close(self) -> None:
        if self._connection is not None:
            self._connection.close()
        if self._line is not None:
            self._line.close()
        self._connection = self._line = None
