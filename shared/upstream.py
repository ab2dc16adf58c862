"""Where another service is, as an ASGI app: called directly (`asgi://package.main`) or dialled (`http://host:port`)."""

import asyncio
import importlib
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any
from urllib.parse import quote

import aiohttp
import structlog
from anyio.from_thread import BlockingPortalProvider
from starlette.applications import Starlette
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from yarl import URL

from shared import correlation, identity
from shared.errors import TemporarilyUnavailable, problem_response
from shared.identity import Signer
from shared.principal import Principal

logger = structlog.get_logger(__name__)
TIMEOUT = aiohttp.ClientTimeout(total=None, connect=1, sock_read=10)
CHUNK = 64 * 1024
NOT_OURS_TO_SAY = ("Accept", "Accept-Encoding", "Content-Type", "User-Agent")  # what aiohttp would add by itself
HOP_BY_HOP = {b"connection", b"keep-alive", b"transfer-encoding", b"te", b"trailer", b"upgrade"}


@asynccontextmanager
async def open_upstream(url: str) -> AsyncIterator[ASGIApp]:
    """The service at this URL, ready to be called; an `asgi://` service is started with its first caller."""
    scheme, _, rest = url.partition("://")
    if scheme == "asgi":
        async with _loaded(rest) as app:
            yield app
    elif scheme in ("http", "https"):
        async with _dialling() as session:
            yield HttpUpstream(session, url.rstrip("/"))
    else:
        raise ValueError(f"a service is at asgi://package.module or http://host:port, not at {url}")


@dataclass
class _Running:
    """A service that was started here; who comes while it starts waits."""

    starting: asyncio.Lock
    stack: AsyncExitStack
    users: int = 0
    started: bool = False


_running: dict[str, _Running] = {}
_portals = BlockingPortalProvider()  # one event loop for all threads: a service that runs here belongs to one


@asynccontextmanager
async def _loaded(module: str) -> AsyncIterator[Starlette]:
    """The module's `app` with its lifespan entered once, however many call it."""
    app: Starlette = importlib.import_module(module).app
    running = _running.setdefault(module, _Running(asyncio.Lock(), AsyncExitStack()))
    running.users += 1
    try:
        async with running.starting:
            if not running.started:
                await running.stack.enter_async_context(app.router.lifespan_context(app))
                running.started = True
        yield app
    finally:
        running.users -= 1
        if not running.users:
            del _running[module]
            await running.stack.aclose()


def _dialling() -> aiohttp.ClientSession:
    """Any number of connections, as streams hold theirs; no cookies, as one caller's are not the next one's."""
    # kept for less than uvicorn's five seconds: a POST must not meet a connection that is just being closed
    connector = aiohttp.TCPConnector(limit=0, keepalive_timeout=4)
    jar = aiohttp.DummyCookieJar()
    return aiohttp.ClientSession(connector=connector, cookie_jar=jar, timeout=TIMEOUT, auto_decompress=False)


class HttpUpstream:
    """A service in another process; what cannot be reached answers 503."""

    def __init__(self, session: aiohttp.ClientSession, base: str) -> None:
        self._session = session
        self._base = base

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Forward one request and stream its answer back, until its reader goes away."""
        started = False
        reader = None
        try:
            async with self._session.request(
                scope["method"],
                self._url(scope),
                headers=[(name.decode(), value.decode("latin-1")) for name, value in scope["headers"]],
                data=await _body(receive),
                allow_redirects=False,
                skip_auto_headers=NOT_OURS_TO_SAY,
            ) as answer:
                headers = [(name.lower(), value) for name, value in answer.raw_headers]
                headers = [pair for pair in headers if pair[0] not in HOP_BY_HOP]
                await send({"type": "http.response.start", "status": answer.status, "headers": headers})
                started = True
                reader = asyncio.create_task(_hang_up_with(receive, answer))
                async for chunk in answer.content.iter_chunked(CHUNK):
                    await send({"type": "http.response.body", "body": chunk, "more_body": True})
                await send({"type": "http.response.body", "body": b""})
        except (aiohttp.ClientError, TimeoutError):
            if reader and reader.done():
                return
            if started:  # half an answer must not look like a whole one
                raise
            await problem_response(TemporarilyUnavailable(), scope["path"])(scope, receive, send)
        finally:
            if reader:
                reader.cancel()

    def _url(self, scope: Scope) -> URL:
        path = scope.get("raw_path") or quote(scope["path"]).encode()
        query = scope["query_string"]
        target = path.decode("latin-1") + ("?" + query.decode("latin-1") if query else "")
        return URL(self._base + target, encoded=True)


async def _hang_up_with(receive: Receive, answer: aiohttp.ClientResponse) -> None:
    """Close the answer when its reader goes away: nothing else says so, and a stream would go on for ever."""
    while (await receive())["type"] != "http.disconnect":
        pass
    answer.close()


async def _body(receive: Receive) -> bytes:
    parts = []
    while True:
        message = await receive()
        parts.append(message.get("body", b""))
        if not message.get("more_body", False):
            return b"".join(parts)


@dataclass(frozen=True)
class Answer:
    """A whole answer of a neighbour."""

    status: int
    body: bytes

    def json(self) -> Any:
        """The body, parsed."""
        return json.loads(self.body)


class Neighbour:
    """Another of our services, asked over its internal API in the name of this one.

    An answer that is neither a success nor a 404 raises TemporarilyUnavailable: nothing may be concluded from it.
    """

    def __init__(self, upstream: ASGIApp, *, name: str, signer: Signer, caller: str) -> None:
        self._upstream = upstream
        self._name = name
        self._signer = signer
        self._principal = Principal(role="service", name=caller)

    async def get(self, path: str, query: str = "") -> Answer:
        """GET an internal path."""
        return await self._call("GET", path, query=query)

    async def post(self, path: str, body: bytes) -> Answer:
        """POST JSON to an internal path; whoever answers must be able to bear it twice."""
        return await self._call("POST", path, body=body)

    async def _call(self, method: str, path: str, *, query: str = "", body: bytes = b"") -> Answer:
        headers = {identity.HEADER: self._signer.token(self._principal, self._name)}
        identifier = correlation.request_id()
        if identifier:
            headers[correlation.HEADER] = identifier
        if body:
            headers["content-type"] = "application/json"
        answer = await fetch(self._upstream, method, path, query=query, headers=headers, body=body)
        if answer.status != 404 and not 200 <= answer.status < 300:
            if answer.status < 500:  # what we ask is not what it takes: waiting mends nothing
                logger.error("neighbour refuses", neighbour=self._name, path=path, status=answer.status)
            raise TemporarilyUnavailable
        return answer


@contextmanager
def open_neighbour(name: str, url: str, *, private_key: str, caller: str) -> Iterator[Callable[[str], Answer]]:
    """A neighbour's GET for a process without an event loop: one is run in a thread for as long as any such block."""
    with (
        _portals as portal,
        portal.wrap_async_context_manager(open_upstream(url)) as upstream,
    ):
        neighbour = Neighbour(upstream, name=name, signer=Signer(private_key, issuer=caller), caller=caller)
        yield partial(portal.call, neighbour.get)


async def fetch(
    upstream: ASGIApp,
    method: str,
    path: str,
    *,
    query: str = "",
    headers: Mapping[str, str] | None = None,
    body: bytes = b"",
) -> Answer:
    """One call, its answer collected."""
    scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": method,
        "scheme": "http",
        "path": path,
        "raw_path": quote(path).encode(),
        "query_string": query.encode(),
        "root_path": "",
        "headers": [(name.encode(), value.encode("latin-1")) for name, value in (headers or {}).items()],
        "client": None,
        "server": None,
    }
    status = 503
    parts: list[bytes] = []

    async def collect(message: Message) -> None:
        nonlocal status
        if message["type"] == "http.response.start":
            status = message["status"]
        else:
            parts.append(message.get("body", b""))

    await upstream(scope, _sending(body), collect)
    return Answer(status=status, body=b"".join(parts))


def _sending(body: bytes) -> Callable[[], Awaitable[Message]]:
    """The body, from a caller who never goes away before the answer's end."""
    unread = True

    async def receive() -> Message:
        nonlocal unread
        if not unread:
            await asyncio.Event().wait()
        unread = False
        return {"type": "http.request", "body": body, "more_body": False}

    return receive
