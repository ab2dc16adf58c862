"""Counts what is read, in memory: a read waits for nothing but this."""

import datetime as dt
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC
from threading import Lock
from uuid import UUID


@dataclass(frozen=True)
class Cell:
    """Whose reads of what, on which day (UTC)."""

    account: UUID
    dataset: str
    frequency: str
    day: dt.date


@dataclass
class Use:
    """How much was read, by whom last seen under which name, and when last."""

    account_name: str
    rows: int
    last_read_at: dt.datetime


def present() -> dt.datetime:
    """The process's own clock: it decides nothing here."""
    return dt.datetime.now(UTC)


class Uses:
    """What was read since it was last taken away; safe in any number of threads."""

    def __init__(self, *, now: Callable[[], dt.datetime] = present) -> None:
        self._now = now
        self._lock = Lock()
        self._uses: dict[Cell, Use] = {}

    def add(self, account: UUID, name: str, dataset: str, frequency: str, rows: int) -> None:
        """Count a read."""
        now = self._now()
        with self._lock:
            self._merge(Cell(account, dataset, frequency, now.date()), Use(name, rows, now))

    def take(self) -> dict[Cell, Use]:
        """What was counted, to be written down; the count begins anew."""
        with self._lock:
            taken, self._uses = self._uses, {}
        return taken

    def give_back(self, taken: Iterable[tuple[Cell, Use]]) -> None:
        """Count again what could not be written down."""
        with self._lock:
            for cell, use in taken:
                self._merge(cell, use)

    def _merge(self, cell: Cell, use: Use) -> None:
        known = self._uses.setdefault(cell, Use(use.account_name, 0, use.last_read_at))
        known.rows += use.rows
        known.last_read_at = max(known.last_read_at, use.last_read_at)
