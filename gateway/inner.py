"""Serves the keys' application on a port of its own, for our services in other processes."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager

import uvicorn

from shared.bounds import BoundedProtocol
from shared.upstream import open_upstream

KEYS = "asgi://gateway.keys.main"
GRACE = 2


class _Server(uvicorn.Server):
    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave the signals to the outer server, which ends us with its lifespan."""
        yield


@asynccontextmanager
async def serve_keys(host: str, port: int) -> AsyncIterator[None]:
    """Serve until the block ends; port 0 serves nothing."""
    if port == 0:
        yield
        return
    async with open_upstream(KEYS) as app:
        config = uvicorn.Config(
            app,
            http=BoundedProtocol,
            host=host,
            port=port,
            lifespan="off",
            log_config=None,
            access_log=False,
            server_header=False,
            timeout_graceful_shutdown=GRACE,
        )
        server = _Server(config)
        task = asyncio.create_task(server.serve())
        while not (server.started or task.done()):  # noqa: ASYNC110 - uvicorn has no event for it
            await asyncio.sleep(0.01)
        try:
            yield
        finally:
            server.should_exit = True
            await task
