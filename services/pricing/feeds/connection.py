"""Calls to CoinCap: one key, bounded time, size and tries, and every failure named."""

import asyncio
import random
import time
from collections.abc import Callable
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, Protocol

import httpx

from services.pricing.feeds import wire
from services.pricing.feeds.errors import (
    UNREADABLE,
    CreditsExhausted,
    KeyUnusable,
    RunOver,
    SourceError,
    SourceRefused,
    SourceRetired,
    SourceUnavailable,
    UnexpectedAnswer,
    UnknownAsset,
)

TRIES = 5
BACKOFF_SECONDS = 0.5
BACKOFF_LIMIT_SECONDS = 20.0
RETRY_AFTER_LIMIT_SECONDS = 60.0
TIMEOUTS = httpx.Timeout(10.0, connect=5.0)
TOTAL_SECONDS = 30.0
RUN_SECONDS = 600.0
BODY_BYTES = 5_000_000
RAW_BYTES = 2_000


class Gate(Protocol):
    """Whom every call is asked of beforehand and told to afterwards."""

    def enter(self, expected: int) -> None:
        """Raises SourceError where the call, thought to cost so many credits, must not be made."""
        ...

    def leave(self, *, expected: int, size: int, failed: bool) -> None:
        """The call has ended: how large its answer was, and whether the source failed."""
        ...


class Open:
    """The gate that lets everything pass."""

    def enter(self, expected: int) -> None:
        """Nothing is asked."""

    def leave(self, *, expected: int, size: int, failed: bool) -> None:
        """Nothing is kept."""


class Connection:
    """GET with a key, tried at most five times and only while the source is unavailable, for ten minutes in all.

    `now`, `sleep`, `timer` (monotonic seconds) and `chance` (a number in [0, 1)) are arguments so that tests need not
    wait. No error says the key or the text of an answer; one that should have been data is carried by it, cut at 2,000
    bytes and without the key, for quarantine. A try takes `total` seconds at most, from connecting to the last byte,
    whatever trickles in: it runs in an event loop, where that can be promised. For one thread.
    """

    def __init__(
        self,
        url: str,
        key: str,
        *,
        gate: Gate,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        sleep: Callable[[float], None] = time.sleep,
        timer: Callable[[], float] = time.monotonic,
        chance: Callable[[], float] = random.SystemRandom().random,
        total: float = TOTAL_SECONDS,
    ) -> None:
        self._gate = gate
        self._now = now
        self._sleep = sleep
        self._timer = timer
        self._chance = chance
        self._total = total
        self._key = _printable(key)
        self._over = timer() + RUN_SECONDS
        self._loop = asyncio.Runner()
        self._client = httpx.AsyncClient(
            base_url=url,
            headers={
                "Authorization": f"Bearer {self._key}",
                "Accept": "application/json",
                "Accept-Encoding": "identity",  # what is small on the wire could be endless in memory
            },
            timeout=TIMEOUTS,
            follow_redirects=False,
        )

    def close(self) -> None:
        """Give the sockets back."""
        with self._loop:
            self._loop.run(self._client.aclose())

    def get(
        self, path: str, asked: dict[str, str], *, expected: int = 1, read: Callable[[bytes], Any] = wire.document
    ) -> Any:
        """The answer's JSON as `read` has it, tried again with full jitter for as long as that may help.

        `expected` is what it may cost, in credits; raises RunOver, and whatever the gate raises.
        """
        for tried in range(TRIES):
            try:
                return self._try(path, asked, expected, read)
            except SourceUnavailable as failure:
                if tried == TRIES - 1:
                    raise
                self._wait(tried, failure.retry_after or 0.0)
        raise AssertionError("the last try returns or raises")

    def _wait(self, tried: int, asked: float) -> None:
        wait = self._chance() * min(BACKOFF_LIMIT_SECONDS, BACKOFF_SECONDS * 2**tried)
        self._sleep(max(wait, min(asked, RETRY_AFTER_LIMIT_SECONDS)))

    def _try(self, path: str, asked: dict[str, str], expected: int, read: Callable[[bytes], Any]) -> Any:
        if self._timer() > self._over:
            raise RunOver
        self._gate.enter(expected)
        body, failed = bytearray(), True
        try:
            answer = self._answer(path, asked, body, read)
            failed = False
        except SourceUnavailable:
            raise
        except SourceError:
            failed = False  # it said no, so it is there
            raise
        finally:
            self._gate.leave(expected=expected, size=len(body), failed=failed)
        return answer

    def _answer(self, path: str, asked: dict[str, str], body: bytearray, read: Callable[[bytes], Any]) -> Any:
        try:
            response = self._loop.run(self._exchange(path, asked, body))
        except TimeoutError:
            raise SourceUnavailable(f"not complete within {self._total:g} s") from None
        except httpx.HTTPError as error:
            # Not chained: the text of a transport error is not ours to vouch for.
            raise SourceUnavailable(type(error).__name__) from None
        if response.status_code != 200:
            raise self._failure(response, bytes(body))
        answer = _json(bytes(body), read)
        if answer is None:
            raise SourceUnavailable(UNREADABLE, raw=self._shown(body))
        if _is_retired(answer):
            raise SourceRetired
        return answer

    async def _exchange(self, path: str, asked: dict[str, str], body: bytearray) -> httpx.Response:
        """The answer's head, and all of its body, in time and in size, or an error."""
        async with asyncio.timeout(self._total), self._client.stream("GET", path, params=asked) as response:
            if response.headers.get("Content-Encoding", "identity") != "identity":
                raise UnexpectedAnswer("compressed, although it was asked not to be", raw="")
            async for piece in response.aiter_raw():
                body += piece
                if len(body) > BODY_BYTES:
                    raise UnexpectedAnswer(f"more than {BODY_BYTES} bytes", raw=self._shown(body))
            return response

    def _failure(self, response: httpx.Response, body: bytes) -> SourceError:
        """The error that an answer other than 200 stands for."""
        status, answer = response.status_code, _json(body)
        if _is_retired(answer):
            return SourceRetired()
        if status == 403 and b"usage limit" in body.lower():
            return CreditsExhausted()
        if status in {401, 403}:
            return SourceRefused(str(status))
        if status == 404 and isinstance(answer, dict):
            return UnknownAsset(response.request.url.path)
        if status == 429 or status >= 500:
            return SourceUnavailable(str(status), retry_after=self._retry_after(response))
        return UnexpectedAnswer(str(status), raw=self._shown(body))

    def _shown(self, body: bytes | bytearray) -> str:
        """How an answer begins, for people to look at: without the key, should it be repeated there."""
        key = self._key.encode()
        begin = bytes(body[: RAW_BYTES + len(key)]).replace(key, b"***")[:RAW_BYTES]
        return begin.decode(errors="replace").replace("\0", "\N{REPLACEMENT CHARACTER}")

    def _retry_after(self, response: httpx.Response) -> float | None:
        """The seconds that `Retry-After` asks for, given as a number or as a date."""
        text = response.headers.get("Retry-After", "")
        if text.isascii() and text.isdigit():
            return float(text)
        try:
            return (parsedate_to_datetime(text) - self._now()).total_seconds()
        except (ValueError, TypeError):
            return None


def _printable(key: str) -> str:
    """The key without the newline a file ends in; one that no header can carry would be spelled out in its error."""
    key = key.strip()
    if not key or not key.isascii() or not key.isprintable():
        raise KeyUnusable
    return key


def _json(body: bytes, read: Callable[[bytes], Any] = wire.document) -> Any:
    try:
        return read(body)
    except ValueError:
        return None


def _is_retired(answer: Any) -> bool:
    """What v2 has said since it was switched off, with 429: `data` is an object with a message."""
    data = wire.data_of(answer)
    return isinstance(data, dict) and "deprecat" in str(data.get("message")).lower()
