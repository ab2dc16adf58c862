"""Turns: at most so many at once for each name, in this process; who comes too early is told when to come again."""

import time
from collections import Counter
from collections.abc import Hashable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from threading import Lock

from shared.outbox import NotNow

SOONEST, APART, LATEST = 0.25, 0.02, 60.0  # seconds


class Turns:
    """Those who have to wait for a name come again one after another, at the pace at which it is served."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._lock = Lock()
        self._under_way: Counter[Hashable] = Counter()
        self._pace: dict[Hashable, float] = {}
        self._end_of_line: dict[Hashable, float] = {}

    @contextmanager
    def take(self, name: Hashable) -> Iterator[None]:
        """One's turn, for as long as it takes; raises NotNow."""
        with self._lock:
            if self._under_way[name] >= self._most:
                raise NotNow(self._wait(name))
            self._under_way[name] += 1
        started = time.monotonic()
        try:
            yield
        finally:
            with self._lock:
                self._leave(name, time.monotonic() - started)

    def _wait(self, name: Hashable) -> timedelta:
        now = time.monotonic()
        after = max(self._end_of_line.get(name, now), now + SOONEST) + self._pace.get(name, APART)
        self._end_of_line[name] = min(after, now + LATEST)
        return timedelta(seconds=self._end_of_line[name] - now)

    def _leave(self, name: Hashable, took: float) -> None:
        self._under_way[name] -= 1
        self._pace[name] = max(APART, took / self._most)
        if not self._under_way[name]:  # nothing is remembered of those who are not there
            for known in (self._under_way, self._pace, self._end_of_line):
                known.pop(name, None)
