"""Things that happen at once: the same act in many threads, waiting until one waits for a lock, and an item unheld."""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from threading import Barrier
from time import monotonic
from typing import Any, TypeVar
from uuid import UUID

import psycopg
from sqlalchemy import text, update
from sqlalchemy.orm import Session
from sqlmodel import col

from services.entitlements.requests.entities import RequestItem
from services.entitlements.requests.repository import RequestRepository
from shared.database import Database
from tests.conftest import Stores

T = TypeVar("T")
BLOCKED = text("select count(*) from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'")


def at_once(threads: int, act: Callable[[int], T]) -> list[T | Exception]:
    """What each of the threads got or was refused with."""
    start = Barrier(threads)

    def run(number: int) -> T | Exception:
        start.wait(5)
        try:
            return act(number)
        except Exception as error:
            return error

    with ThreadPoolExecutor(threads) as pool:
        return list(pool.map(run, range(threads)))


def wait_for_a_waiter(database: Database) -> None:
    """Returns when some connection to this database waits for a lock."""
    deadline = monotonic() + 5
    while not _somebody_waits(database):
        assert monotonic() < deadline, "nobody waits for a lock"


def _somebody_waits(database: Database) -> bool:
    with database.transaction() as session:  # a new one each time: the server shows a transaction one snapshot
        waiting: int = session.execute(BLOCKED).scalar_one()
    return waiting > 0


def drop_the_index(stores: Stores, name: str = "uq_grants_unclosed") -> None:
    """Take one of the indexes that carry promises out of a database of the test's own."""
    with closing(psycopg.connect(stores.database_url, autocommit=True)) as owner:
        owner.execute(f"drop index entitlements.{name}".encode())


class Unguarded(RequestRepository):
    """Reads an item without holding it, and writes its outcome whatever it is by then."""

    def __init__(self, session: Session, all_have_read: Barrier) -> None:
        super().__init__(session)
        self._all_have_read = all_have_read

    def lock_items(self, request: UUID) -> Sequence[RequestItem]:
        """Read, and wait until all others have read."""
        items = self.items([request])
        self._all_have_read.wait(5)
        return items

    def decide(self, item: UUID, **outcome: Any) -> bool:
        """Overwrite."""
        self._session.execute(update(RequestItem).where(col(RequestItem.id) == item).values(**outcome))
        return True
