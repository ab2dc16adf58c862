"""Whoever receives: posted to at an address that was checked just before, for at most 15 seconds."""

import asyncio
import socket
import ssl
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC
from email.utils import parsedate_to_datetime
from threading import BoundedSemaphore, Thread
from typing import Protocol

import httpx

from services.entitlements.webhooks.policy import is_public, is_spoken_to

TOTAL = 15.0
READ = 64 * 1024
LOOK_UPS = 32
TRIED = 5  # of a host's addresses
Resolver = Callable[[str, int], Sequence[str]]


@dataclass(frozen=True)
class Outcome:
    """What came of an attempt: a status, or why there is none; what the receiver asked for; how long it took."""

    status: int | None = None
    error: str | None = None
    retry_after: float | None = None
    milliseconds: int = 0

    @property
    def is_success(self) -> bool:
        """Whether the receiver has it; a redirect is none, as it is not followed."""
        return self.status is not None and 200 <= self.status < 300


class Receiver(Protocol):
    """Takes messages."""

    def post(self, url: str, headers: Mapping[str, str], body: str) -> Outcome:
        """One attempt; whatever goes wrong is an outcome."""
        ...


class TargetRefused(Exception):
    """The target is not one that is spoken to."""


def resolve(host: str, port: int) -> Sequence[str]:
    """All addresses of a host, as the system finds them."""
    return [str(found[4][0]) for found in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)]


class LookUps:
    """Look-ups in threads that nobody waits for at the end: the system's resolver takes as long as it likes."""

    def __init__(self, resolver: Resolver, *, most: int = LOOK_UPS) -> None:
        self._resolver = resolver
        self._free = BoundedSemaphore(most)

    async def addresses(self, host: str, port: int) -> Sequence[str]:
        """All addresses of a host; raises TimeoutError where too many look-ups are under way."""
        if not self._free.acquire(blocking=False):
            raise TimeoutError
        found: Future[Sequence[str]] = Future()
        found.set_running_or_notify_cancel()
        Thread(target=self._look_up, args=(found, host, port), daemon=True).start()
        return await asyncio.wrap_future(found)

    def _look_up(self, found: "Future[Sequence[str]]", host: str, port: int) -> None:
        try:
            found.set_result(self._resolver(host, port))
        except Exception as failure:  # it is whoever asked that has to hear of it
            found.set_exception(failure)
        finally:
            self._free.release()


class HttpReceiver:
    """A receiver over HTTPS: no redirects, no proxies, 64 KiB read; `anywhere` drops the check of the address."""

    def __init__(
        self,
        *,
        anywhere: bool = False,
        resolver: Resolver = resolve,
        total: float = TOTAL,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self._anywhere = anywhere
        self._look_ups = LookUps(resolver)
        self._total = total
        self._tls = tls or httpx.create_ssl_context(trust_env=False)

    def post(self, url: str, headers: Mapping[str, str], body: str) -> Outcome:
        """One attempt, in an event loop of its own: only there 15 seconds are 15 seconds, whatever trickles in."""
        started = time.monotonic()
        status, error, retry_after = None, None, None
        try:
            status, retry_after = asyncio.run(self._post(url, headers, body))
        except (TimeoutError, httpx.TimeoutException):
            error = "timeout"
        except (httpx.HTTPError, httpx.InvalidURL, OSError, UnicodeError, TargetRefused) as failure:
            error = _reason(failure)
        return Outcome(status, error, retry_after, round((time.monotonic() - started) * 1000))

    async def _post(self, text: str, headers: Mapping[str, str], body: str) -> tuple[int, float | None]:
        url = httpx.URL(text)
        if not is_spoken_to(url.scheme, url.raw_host.decode("ascii"), url.port, anywhere=self._anywhere):
            raise TargetRefused
        said: tuple[int, float | None] | None = None
        try:
            async with asyncio.timeout(self._total):
                addresses = await self._addresses(url)
                async with self._client(len(addresses)) as client:
                    requests = [_request(client, url, address, headers, body) for address in addresses]
                    answer = await _send(client, requests)
                    said = answer.status_code, _seconds(answer.headers.get("retry-after"))
                    await _read(answer)
        except (TimeoutError, httpx.HTTPError):
            if said is None:  # else it has answered, whatever becomes of the body
                raise
        return said

    async def _addresses(self, url: httpx.URL) -> Sequence[str]:
        """Where to connect to: looked up once, and only if all that was found is fit; raises TargetRefused."""
        port = url.port or (443 if url.scheme == "https" else 80)
        found = await self._look_ups.addresses(url.raw_host.decode("ascii"), port)
        if not found or not (self._anywhere or all(is_public(address) for address in found)):
            raise TargetRefused
        return [address.partition("%")[0] for address in found[:TRIED]]

    def _client(self, addresses: int) -> httpx.AsyncClient:
        """Each address has its share of the time to be connected to, all the rest is for the answer."""
        timeout = httpx.Timeout(self._total, connect=self._total / addresses)
        return httpx.AsyncClient(verify=self._tls, trust_env=False, follow_redirects=False, timeout=timeout)


async def _send(client: httpx.AsyncClient, requests: Sequence[httpx.Request]) -> httpx.Response:
    """The answer of the first address that lets itself be connected to; what was sent is sent to no other."""
    *others, last = requests
    for request in others:
        with suppress(httpx.ConnectError, httpx.ConnectTimeout):
            return await client.send(request, stream=True)
    return await client.send(last, stream=True)


def _request(
    client: httpx.AsyncClient, url: httpx.URL, address: str, headers: Mapping[str, str], body: str
) -> httpx.Request:
    """To the address that was checked; Host, and the name in the certificate, are the URL's.

    No certificate names a host with the dot at its end that makes it absolute.
    """
    return client.build_request(
        "POST",
        url.copy_with(host=address),
        content=body.encode(),
        headers={
            "Host": url.netloc.decode("ascii"),
            "Content-Type": "application/json",
            "User-Agent": "Tickgate",
            "Accept-Encoding": "identity",
            **headers,
        },
        extensions={"sni_hostname": url.raw_host.decode("ascii").rstrip(".")},
    )


async def _read(answer: httpx.Response) -> None:
    """Let a receiver say what it wants to say, up to a point; nobody looks at it."""
    size = 0
    try:
        async for chunk in answer.aiter_raw():
            size += len(chunk)
            if size >= READ:
                return
    finally:
        await answer.aclose()


def _seconds(text: str | None) -> float | None:
    """`Retry-After` in seconds, also where it is a date."""
    if text and text.isascii() and text.isdigit() and len(text) < 10:
        return float(text)
    try:
        at = parsedate_to_datetime(text or "")
    except (ValueError, OverflowError):
        return None
    return max(0.0, (at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp() - time.time())


def _reason(failure: Exception) -> str:
    """What kind of failure, without a word of the receiver's."""
    if isinstance(failure, TargetRefused | httpx.InvalidURL):
        return "target-refused"
    if isinstance(failure, socket.gaierror):
        return "no-such-host"
    return "connection-failed" if isinstance(failure, httpx.ConnectError | OSError) else "protocol-error"
