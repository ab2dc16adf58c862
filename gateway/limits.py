"""How many requests a key and an address may make: counted here at once, and with the other replicas a little later.

No request ever waits for Redis: it is told what was counted every 200 ms, and tells what the others counted. While it
is away each replica counts alone.
"""

import ipaddress
import math
import re
import time
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Self

from starlette.datastructures import MutableHeaders
from starlette.types import Message, Send

WINDOWS = {"second": 1, "minute": 60, "hour": 3600}
FORM = re.compile(r"([1-9]\d{0,9})/(second|minute|hour)", re.ASCII)
REMEMBERED = 100_000
Clock = Callable[[], float]


@dataclass(frozen=True)
class Quota:
    """So many requests in a window of so many seconds; the windows are those of the clock, the same everywhere."""

    most: int
    seconds: int

    @classmethod
    def parse(cls, text: str) -> Self | None:
        """The quota of a setting like `6000/minute`; `0` is none. Raises ValueError."""
        if text == "0":
            return None
        found = FORM.fullmatch(text)
        if found is None:
            raise ValueError("a limit like 6000/minute (or /second, /hour), or 0 for none")
        return cls(int(found[1]), WINDOWS[found[2]])


@dataclass(frozen=True)
class Standing:
    """What is left of a quota, and for how many seconds that counts."""

    name: str
    quota: Quota
    left: int
    seconds: int

    def headers(self) -> dict[str, str]:
        """As draft-ietf-httpapi-ratelimit-headers (from 08 on) writes it."""
        return {
            "RateLimit-Policy": f'"{self.name}";q={self.quota.most};w={self.quota.seconds}',
            "RateLimit": f'"{self.name}";r={max(self.left, 0)};t={self.seconds}',
        }


class Limit:
    """One quota for each of many callers."""

    def __init__(self, name: str, quota: Quota, *, clock: Clock = time.time) -> None:
        self.name = name
        self.quota = quota
        self._clock = clock
        self._window = 0
        self._counted: dict[str, int] = {}
        self._here: Counter[str] = Counter()
        self._untold: set[str] = set()

    def take(self, caller: str) -> Standing:
        """Count one request of a caller; `left` is negative for one too many, and that one is not counted."""
        now = self._clock()
        self._turn(int(now // self.quota.seconds))
        left = self.quota.most - self._counted.get(caller, 0) - 1
        if left >= 0:
            self._count(caller)
        return Standing(self.name, self.quota, left, math.ceil((self._window + 1) * self.quota.seconds - now) or 1)

    def untold(self) -> tuple[int, dict[str, int]]:
        """The window, and what was counted here in all of it, for those that were since the last call."""
        told, self._untold = {caller: self._here[caller] for caller in self._untold}, set()
        return self._window, told

    def hear(self, window: int, others: dict[str, int]) -> None:
        """What the other replicas together have counted."""
        if window == self._window:
            for caller, count in others.items():
                self._counted[caller] = max(self._counted.get(caller, 0), count + self._here[caller])

    def tell_again(self, window: int, callers: Iterable[str]) -> None:
        """Nobody may have heard what `untold` said of these."""
        if window == self._window:
            self._untold.update(callers)

    def _count(self, caller: str) -> None:
        if len(self._counted) >= REMEMBERED:  # forgetting is kinder than running out of memory
            self._forget()
        self._counted[caller] = self._counted.get(caller, 0) + 1
        self._here[caller] += 1
        self._untold.add(caller)

    def _turn(self, window: int) -> None:
        if window != self._window:
            self._window = window
            self._forget()

    def _forget(self) -> None:
        self._counted, self._here, self._untold = {}, Counter(), set()


class Limits:
    """The two limits of the door; one that is None is off."""

    def __init__(self, *, key: Limit | None = None, address: Limit | None = None) -> None:
        self._key = key
        self._address = address

    @property
    def on(self) -> tuple[Limit, ...]:
        """Those that count."""
        return tuple(limit for limit in (self._key, self._address) if limit)

    def take_address(self, client: tuple[str, int] | None) -> Standing | None:
        """Count a request of an address, before anybody knows whose it is."""
        return self._address.take(network(client[0])) if self._address and client else None

    def take_key(self, key: str | None) -> Standing | None:
        """Count a request of a key that is valid."""
        return self._key.take(key) if self._key and key else None


def network(address: str) -> str:
    """Who is meant by an address: an IPv6 client has a whole /64 to call from."""
    try:
        found = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return address
    if found.version == 4:
        return str(found)
    return str(found.ipv4_mapped or ipaddress.IPv6Network((int(found) >> 64 << 64, 64)))


def telling(send: Send, standing: Standing) -> Send:
    """Says on the answer how its caller stands, unless that was said more closely."""

    async def send_telling(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            for name, value in standing.headers().items():
                headers.setdefault(name, value)
        await send(message)

    return send_telling
