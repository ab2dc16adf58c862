"""Things that happen at once: the same act in many threads, and waiting until one of them waits for a lock."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from time import monotonic
from typing import TypeVar

from sqlalchemy import text

from shared.database import Database

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
