"""Streams to readers who wait for news: one question a tick for all of a process, no session held by any of them."""

import asyncio
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from typing import TypeVar

import structlog
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from shared.database import Database
from shared.drain import is_draining
from shared.errors import Problem

MOST = 5
BEAT = 4.0  # seconds without news after which something is sent all the same: whoever stands between sees life in it
EVERY = 0.25
READERS = 2  # streams that read at the same time: the pool is for requests
T = TypeVar("T")
News = Callable[[Session, Collection[str]], Mapping[str, int]]
logger = structlog.get_logger(__name__)


class TooManyStreams(Problem):
    """The key has five streams open already; close one first."""

    status = 429
    headers = {"Retry-After": "5"}  # noqa: RUF012


class Listener:
    """One stream's ear: it hears when one of its topics has moved on, and when it is time to end."""

    def __init__(self, topics: Collection[str]) -> None:
        self.topics = topics
        self.heard: dict[str, int] = {}
        self._moved = asyncio.Event()

    def tell(self, numbers: Mapping[str, int]) -> None:
        """Take in the newest numbers of all topics."""
        mine = {topic: numbers[topic] for topic in self.topics if topic in numbers}
        if mine != self.heard or is_draining():
            self.heard = mine
            self._moved.set()

    def listen(self) -> bool:
        """Begin to look at what there is: what moves from now on is heard later; false when it is time to end."""
        self._moved.clear()
        return not is_draining()

    async def wait(self) -> bool:
        """Whether there may be news; false after a while without."""
        try:
            async with asyncio.timeout(BEAT):
                return await self._moved.wait()
        except TimeoutError:
            return False


class Streams:
    """The open streams of this process; `news` reads the newest number of each topic."""

    def __init__(self, database: Database, news: News) -> None:
        self._database = database
        self._news = news
        self._listeners: set[Listener] = set()
        self._keys: Counter[str] = Counter()
        self._readers = asyncio.Semaphore(READERS)
        self._watching: asyncio.Task[None] | None = None

    @contextmanager
    def listening(self, key: str, topics: Collection[str]) -> Iterator[Listener]:
        """An open stream of a key; raises TooManyStreams."""
        if self._keys[key] >= MOST:
            raise TooManyStreams
        listener = Listener(topics)
        self._keys[key] += 1
        self._listeners.add(listener)
        if self._watching is None or self._watching.done():
            self._watching = asyncio.create_task(self._watch())
        try:
            yield listener
        finally:
            self._listeners.discard(listener)
            self._keys[key] -= 1
            if not self._keys[key]:
                del self._keys[key]

    async def read(self, read: Callable[[Session], T]) -> T | None:
        """What a stream reads, in a short transaction; nothing while the database cannot be asked."""
        async with self._readers:
            return await asyncio.to_thread(self._read, read)

    async def _watch(self) -> None:
        while self._listeners:
            topics = {topic for listener in self._listeners for topic in listener.topics}
            numbers = await asyncio.to_thread(self._read, lambda session, topics=topics: self._news(session, topics))
            for listener in self._listeners:
                listener.tell(listener.heard if numbers is None else numbers)
            await asyncio.sleep(EVERY)

    def _read(self, read: Callable[[Session], T]) -> T | None:
        try:
            with self._database.transaction() as session:
                return read(session)
        except SQLAlchemyError as error:
            logger.warning("streams wait for the database", error=str(error))
            return None


def event_text(*, id_: object, type_: str, data: str) -> str:
    """One server-sent event; `data` is on one line, as JSON is."""
    return f"id: {id_}\nevent: {type_}\ndata: {data}\n\n"
