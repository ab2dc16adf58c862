"""Remembers when a key's next use is due to be recorded, so that a busy key costs one UPDATE a minute and no more."""

import threading
import time
from collections.abc import Callable
from datetime import timedelta

EVERY = timedelta(minutes=1)
SETTLED_WITHIN = timedelta(seconds=5)
REMEMBERED = 10_000


class KeyUses:
    """One per process, for all its threads; `clock` gives seconds that only go forward."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._due: dict[str, float] = {}

    def claim(self, key_id: str) -> bool:
        """Whether the caller is the one to record a use now; if it fails, another may try five seconds later."""
        with self._lock:
            now = self._clock()
            if now < self._due.get(key_id, now):
                return False
            if len(self._due) >= REMEMBERED:
                self._due.clear()
            self._due[key_id] = now + SETTLED_WITHIN.total_seconds()
            return True

    def settle(self, key_id: str, *, age: timedelta) -> None:
        """The last recorded use is that old, whoever recorded it: the next one is due when it is a minute old."""
        with self._lock:
            self._due[key_id] = self._clock() + (EVERY - age).total_seconds()
