"""A service is called the same way in this process and in another, and half an answer is never a whole one."""

import asyncio
import json
import sys
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from types import ModuleType

import aiohttp
import pytest
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Scope

from shared.errors import TemporarilyUnavailable
from shared.identity import HEADER, Signer, Verifier, new_key_pair
from shared.upstream import Neighbour, fetch, open_upstream
from tests.shared.ground import until

pytestmark = pytest.mark.anyio
PRIVATE, PUBLIC = new_key_pair()


class Echo:
    """A service that tells what it was asked, and counts how often it was started and stopped."""

    def __init__(self) -> None:
        self.lives: list[str] = []
        self.streams = 0
        routes = [
            Route("/echo/{rest:path}", self.echo, methods=["GET", "POST"]),
            Route("/stream", self.stream),
            Route("/endless", self.endless),
            Route("/status/{code:int}", lambda r: Response(status_code=r.path_params["code"])),
            Route("/cookie", lambda r: PlainTextResponse(r.headers.get("cookie", ""), headers={"set-cookie": "a=b"})),
        ]
        self.app = Starlette(routes=routes, lifespan=self.live)

    @asynccontextmanager
    async def live(self, _app: Starlette) -> AsyncIterator[None]:
        """Count."""
        self.lives.append("starting")
        await asyncio.sleep(0)
        self.lives.append("started")
        yield
        self.lives.append("stopped")

    async def echo(self, request: Request) -> JSONResponse:
        """Tell."""
        heard = {
            "method": request.method,
            "path": request.scope["raw_path"].decode(),
            "query": request.scope["query_string"].decode(),
            "headers": [[name.decode(), value.decode("latin-1")] for name, value in request.headers.raw],
            "body": (await request.body()).decode(),
        }
        return JSONResponse(heard, status_code=203, headers={"x-own": "kept"})

    async def stream(self, _request: Request) -> StreamingResponse:
        """Three parts."""

        async def parts() -> AsyncIterator[str]:
            for part in ("one ", "two ", "three"):
                yield part
                await asyncio.sleep(0)

        return StreamingResponse(parts())

    async def endless(self, _request: Request) -> StreamingResponse:
        """A stream that ends only when its reader goes away."""

        async def parts() -> AsyncIterator[str]:
            self.streams += 1
            try:
                while True:
                    yield "tick"
                    await asyncio.sleep(0.02)
            finally:
                self.streams -= 1

        return StreamingResponse(parts())


@contextmanager
def serving(app: ASGIApp) -> Iterator[str]:
    """The application on a real socket, in a thread; its URL."""
    config = uvicorn.Config(app, host="127.0.0.1", port=0, log_config=None, timeout_graceful_shutdown=1)
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run)
    thread.start()
    assert until(lambda: server.started)
    port = server.servers[0].sockets[0].getsockname()[1]
    yield f"http://127.0.0.1:{port}"
    server.should_exit = True
    thread.join()


@pytest.fixture
def echo() -> Iterator[Echo]:
    """A service that can be imported, as `asgi://` wants it."""
    echo = Echo()
    module = ModuleType("echoing_service")
    module.app = echo.app  # type: ignore[attr-defined]
    sys.modules["echoing_service"] = module
    yield echo
    del sys.modules["echoing_service"]


@pytest.fixture(params=["asgi", "http"])
def url(request: pytest.FixtureRequest, echo: Echo) -> Iterator[str]:
    """Both homes of the service."""
    if request.param == "asgi":
        yield "asgi://echoing_service"
        return
    with serving(echo.app) as url:
        yield url


async def call(
    upstream: ASGIApp,
    receive: Callable[[], Awaitable[Message]],
    send: Callable[[Message], Awaitable[None]],
    **scope: object,
) -> None:
    """Call an upstream as the gateway does."""
    base: Scope = {
        "type": "http",
        "method": "GET",
        "path": "/",
        "query_string": b"",
        "headers": [],
        "http_version": "1.1",
    }
    base |= {"asgi": {"version": "3.0", "spec_version": "2.3"}, "scheme": "http", "root_path": ""}
    base |= {"client": None, "server": None}
    await upstream({**base, **scope}, receive, send)


async def test_a_service_is_started_once_for_many_users_and_stopped_with_the_last(echo: Echo) -> None:
    async with AsyncExitStack() as first:
        await first.enter_async_context(open_upstream("asgi://echoing_service"))
        async with open_upstream("asgi://echoing_service"), open_upstream("asgi://echoing_service"):
            assert echo.lives == ["starting", "started"]
        assert echo.lives == ["starting", "started"]
    assert echo.lives == ["starting", "started", "stopped"]

    async with open_upstream("asgi://echoing_service"):
        assert echo.lives[3:] == ["starting", "started"]


async def test_a_service_that_does_not_start_can_be_tried_again(echo: Echo) -> None:
    @asynccontextmanager
    async def failing(_app: Starlette) -> AsyncIterator[None]:
        raise LookupError("a setting is missing")
        yield

    live, echo.app.router.lifespan_context = echo.app.router.lifespan_context, failing
    with pytest.raises(LookupError):
        async with open_upstream("asgi://echoing_service"):
            pass
    echo.app.router.lifespan_context = live
    async with open_upstream("asgi://echoing_service") as upstream:
        assert (await fetch(upstream, "GET", "/status/204")).status == 204


async def test_path_query_headers_and_body_arrive_untouched(url: str) -> None:
    messages: list[Message] = []
    parts = [{"type": "http.request", "body": b"half ", "more_body": True}, {"type": "http.request", "body": b"half"}]
    never: asyncio.Future[Message] = asyncio.get_running_loop().create_future()

    async def receive() -> Message:
        return parts.pop(0) if parts else await never

    async def send(message: Message) -> None:
        messages.append(message)

    path, query = "/echo/a%2Fb%20c/..%2f/%C3%9F/./../%252e//x;y=1", "a=%20b+c&a=1&=&%E2%82%BF=%00"
    async with open_upstream(url) as upstream:
        await call(
            upstream,
            receive,
            send,
            method="POST",
            path="/echo/a/b c/..//ß/./../%2e//x;y=1",
            raw_path=path.encode(),
            query_string=query.encode(),
            headers=[(b"x-a", b"1"), (b"x-a", b"2"), (b"content-type", b"text/plain")],
        )

    start, *bodies = messages
    heard = json.loads(b"".join(message.get("body", b"") for message in bodies))
    assert start["status"] == 203
    assert (b"x-own", b"kept") in start["headers"]
    assert (heard["method"], heard["path"], heard["query"], heard["body"]) == ("POST", path, query, "half half")
    assert [pair for pair in heard["headers"] if pair[0] == "x-a"] == [["x-a", "1"], ["x-a", "2"]]
    assert ["content-type", "text/plain"] in heard["headers"]


async def test_a_streamed_answer_is_collected_whole(url: str) -> None:
    async with asyncio.timeout(5), open_upstream(url) as upstream:
        answer = await fetch(upstream, "GET", "/stream")

    assert (answer.status, answer.body) == (200, b"one two three")


async def test_a_stream_arrives_part_by_part_and_ends_when_its_reader_goes_away(url: str, echo: Echo) -> None:
    gone = asyncio.Event()
    ticks = 0
    unread: list[Message] = [{"type": "http.request", "body": b""}]

    async def receive() -> Message:
        if unread:
            return unread.pop()
        await gone.wait()
        return {"type": "http.disconnect"}

    async def send(message: Message) -> None:
        nonlocal ticks
        ticks += len(message.get("body", b"")) // 4
        if ticks > 3:
            gone.set()

    async with asyncio.timeout(5), open_upstream(url) as upstream:
        await call(upstream, receive, send, path="/endless", raw_path=b"/endless")
        assert ticks > 3
        while echo.streams:
            await asyncio.sleep(0.02)


async def test_many_open_streams_keep_nobody_else_waiting(echo: Echo) -> None:
    with serving(echo.app) as url:
        async with asyncio.timeout(20), open_upstream(url) as upstream:

            async def send(message: Message) -> None:
                pass

            async def read() -> None:
                hold: asyncio.Future[Message] = asyncio.get_running_loop().create_future()
                unread: list[Message] = [{"type": "http.request", "body": b""}]

                async def receive() -> Message:
                    return unread.pop() if unread else await hold

                await call(upstream, receive, send, path="/endless", raw_path=b"/endless")

            readers = [asyncio.create_task(read()) for _ in range(120)]
            while echo.streams < 100:
                await asyncio.sleep(0.02)
            answer = await fetch(upstream, "GET", "/status/204")
            for reader in readers:
                reader.cancel()
            await asyncio.gather(*readers, return_exceptions=True)

    assert answer.status == 204


async def test_no_cookie_of_one_caller_reaches_another(url: str) -> None:
    async with open_upstream(url.replace("127.0.0.1", "localhost")) as upstream:
        answers = [await fetch(upstream, "GET", "/cookie") for _ in range(2)]

    assert [answer.body for answer in answers] == [b"", b""]


async def test_a_service_that_cannot_be_reached_is_a_503_problem() -> None:
    async with open_upstream("http://127.0.0.1:1") as upstream:
        answer = await fetch(upstream, "GET", "/v1/datasets")

    assert answer.status == 503
    assert answer.json()["code"] == "temporarily-unavailable"
    assert answer.json()["instance"] == "/v1/datasets"


@pytest.mark.parametrize(
    "cut",
    [
        b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhalf",
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n4\r\nhalf\r\n",
    ],
)
async def test_a_cut_answer_is_not_taken_for_a_whole_one(cut: bytes) -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(cut)
        writer.close()
        await writer.wait_closed()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with server, open_upstream(f"http://127.0.0.1:{port}") as upstream:
        with pytest.raises(aiohttp.ClientError):
            await fetch(upstream, "GET", "/")


async def test_an_answer_that_never_began_is_a_503_problem() -> None:
    async def answer(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.close()
        await writer.wait_closed()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with server, open_upstream(f"http://127.0.0.1:{port}") as upstream:
        assert (await fetch(upstream, "GET", "/")).status == 503


async def test_only_two_kinds_of_address_lead_to_a_service() -> None:
    with pytest.raises(ValueError, match="asgi://package.module or http://host:port"):
        async with open_upstream("ftp://here"):
            pass


async def test_a_neighbour_is_asked_under_our_own_name(url: str) -> None:
    async with open_upstream(url) as upstream:
        neighbour = Neighbour(upstream, name="echo", signer=Signer(PRIVATE, issuer="ground"), caller="ground")
        heard = (await neighbour.get("/echo/x", "a=1")).json()

    token = dict(heard["headers"])[HEADER]
    issuer, principal = Verifier({"ground": [PUBLIC]}, audience="echo").verify(token)
    assert (issuer, principal.role, principal.name) == ("ground", "service", "ground")
    assert heard["query"] == "a=1"


@pytest.mark.parametrize(("status", "concluded"), [(200, True), (204, True), (404, True), (401, False), (500, False)])
async def test_from_an_error_of_a_neighbour_nothing_is_concluded(status: int, concluded: bool, url: str) -> None:
    async with open_upstream(url) as upstream:
        neighbour = Neighbour(upstream, name="echo", signer=Signer(PRIVATE, issuer="ground"), caller="ground")
        if concluded:
            assert (await neighbour.get(f"/status/{status}")).status == status
        else:
            with pytest.raises(TemporarilyUnavailable):
                await neighbour.get(f"/status/{status}")
