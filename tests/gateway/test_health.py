"""Readiness, which anybody may ask for."""

import asyncio
from typing import Any

import pytest
from starlette.responses import JSONResponse
from starlette.types import Message, Receive, Scope, Send

from gateway import health
from gateway.surface import Service
from shared.errors import TemporarilyUnavailable

SCOPE: dict[str, Any] = {"type": "http", "method": "GET", "path": "/readyz", "headers": [], "query_string": b""}


class Slow:
    """A service that takes its time to say whether it is ready."""

    def __init__(self) -> None:
        self.status = 200
        self.asked = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.asked += 1
        await asyncio.sleep(0.02)
        await JSONResponse({}, self.status)(scope, receive, send)


async def nothing() -> Message:
    return {"type": "http.request", "body": b"", "more_body": False}


async def unheard(message: Message) -> None:
    return


def test_however_many_ask_the_services_are_asked_once() -> None:
    async def story() -> None:
        service = Slow()
        ready = health.ready({"slow": Service("slow", "", service)})
        await asyncio.gather(*(ready(SCOPE, nothing, unheard) for _ in range(50)))
        assert service.asked == 1
        service.status = 503
        await asyncio.sleep(health.FRESH)
        for _ in range(2):
            with pytest.raises(TemporarilyUnavailable, match="not ready: slow"):
                await ready(SCOPE, nothing, unheard)
        assert service.asked == 2

    asyncio.run(story())
