"""Answers in gzip or zstd, piece by piece as they come, when the caller takes that."""

import zlib
from collections.abc import Callable
from typing import Protocol

import zstandard
from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

COMPRESSIBLE = {
    "application/json",
    "application/problem+json",
    "application/vnd.apache.arrow.stream",
    "text/csv",
}
SMALLEST = 500
GZIP = 31  # zlib's name for a gzip frame of the largest window


class Compressor(Protocol):
    """A compressed body in the making."""

    def compress(self, data: bytes, /) -> bytes:
        """What of it is ready."""
        ...

    def flush(self) -> bytes:
        """The rest, and the end."""
        ...


CODINGS: dict[str, Callable[[], Compressor]] = {  # the first of equals is taken
    "zstd": lambda: zstandard.ZstdCompressor(level=3).compressobj(),
    "gzip": lambda: zlib.compressobj(5, zlib.DEFLATED, GZIP),
}


class Compression:
    """ASGI middleware: compresses successful answers to GET, which hold no secrets, and are never a stream of events.

    An entity tag ends in the coding, as its bytes are others; `If-None-Match` is understood accordingly.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http" or scope["method"] != "GET":
            await self.app(scope, receive, send)
            return
        coding = preferred(Headers(scope=scope).get("accept-encoding", ""))
        headers = [
            (name, _untagged(value, coding) if name == b"if-none-match" else value) for name, value in scope["headers"]
        ]
        tagged = headers != scope["headers"]
        await self.app({**scope, "headers": headers}, receive, _Answer(send, coding, tagged=tagged))


class _Answer:
    """Holds the head back until the first piece tells whether the body is worth it."""

    def __init__(self, send: Send, coding: str | None, *, tagged: bool) -> None:
        self._send = send
        self._coding = coding
        self._tagged = tagged
        self._head: Message | None = None
        self._compressor: Compressor | None = None

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            await self._begin(message)
        elif self._head is not None:
            await self._first(self._head, message)
        elif self._compressor is not None:
            await self._next(self._compressor, message)
        else:
            await self._send(message)

    async def _begin(self, message: Message) -> None:
        headers = MutableHeaders(scope=message)
        if message["status"] == 304 and "etag" in headers:
            headers.add_vary_header("Accept-Encoding")
            if self._coding and self._tagged:
                _tag(headers, self._coding)
        if message["status"] != 200 or headers.get("content-type", "").partition(";")[0] not in COMPRESSIBLE:
            await self._send(message)
            return
        headers.add_vary_header("Accept-Encoding")
        if self._coding is None:
            await self._send(message)
        else:
            self._head = message

    async def _first(self, head: Message, message: Message) -> None:
        self._head = None
        coding, more = self._coding, message.get("more_body", False)
        if coding is None or (not more and len(message.get("body", b"")) < SMALLEST):
            await self._send(head)
            await self._send(message)
            return
        self._compressor = CODINGS[coding]()
        headers = MutableHeaders(scope=head)
        headers["Content-Encoding"] = coding
        _tag(headers, coding)
        body = self._squeeze(self._compressor, message)
        del headers["content-length"]
        if not more:
            headers["Content-Length"] = str(len(body))
        await self._send(head)
        await self._send({**message, "body": body})

    async def _next(self, compressor: Compressor, message: Message) -> None:
        body, more = self._squeeze(compressor, message), message.get("more_body", False)
        if body or not more:
            await self._send({**message, "body": body})

    def _squeeze(self, compressor: Compressor, message: Message) -> bytes:
        body = compressor.compress(bytes(message.get("body", b"")))
        return body if message.get("more_body", False) else body + compressor.flush()


def preferred(accept_encoding: str) -> str | None:
    """The coding to use, by the weights of an `Accept-Encoding` header; none if it names none of ours."""
    weights: dict[str, float] = {}
    for offer in accept_encoding.lower().split(","):
        name, *parameters = (part.strip() for part in offer.split(";"))
        weights[name] = next((_weight(p) for p in parameters if p.startswith("q=")), 1.0)
    weight = {coding: weights.get(coding, weights.get("*", 0.0)) for coding in CODINGS}
    best = max(weight, key=lambda coding: weight[coding])
    return best if weight[best] > 0 and weight[best] >= weights.get("identity", 0.0) else None


def _weight(parameter: str) -> float:
    try:
        return float(parameter.removeprefix("q="))
    except ValueError:
        return 0.0


def _tag(headers: MutableHeaders, coding: str) -> None:
    """Give an entity tag the coding's name."""
    tag = headers.get("etag", "")
    if tag.endswith('"'):
        headers["ETag"] = f'{tag[:-1]}-{coding}"'


def _untagged(if_none_match: bytes, coding: str | None) -> bytes:
    """The tags as the application knows them: without the name of the coding that is in use now."""
    return if_none_match.replace(f'-{coding}"'.encode(), b'"') if coding else if_none_match
