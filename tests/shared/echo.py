"""A service that tells what it was asked, and the ways to run and call it."""

import asyncio
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Scope

from tests.shared.ground import until


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
    base.update({"asgi": {"version": "3.0", "spec_version": "2.3"}, "scheme": "http", "root_path": ""})
    base.update({"client": None, "server": None})
    await upstream({**base, **scope}, receive, send)
