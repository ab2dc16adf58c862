"""One request id from the client through the gateway and every service to the worker and the logs."""

import re
import uuid

import structlog
from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

HEADER = "x-request-id"
SANE = re.compile(r"[A-Za-z0-9._-]{1,64}")


def request_id() -> str | None:
    """The id of the request being served, if there is one."""
    value = structlog.contextvars.get_contextvars().get("request_id")
    return None if value is None else str(value)


class Correlation:
    """ASGI middleware: takes a sane `X-Request-Id` or makes one, binds it to the logs and sends it back."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request under its id."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        given = Headers(scope=scope).get(HEADER, "")
        identifier = given if SANE.fullmatch(given) else uuid.uuid4().hex
        scope["request_id"] = identifier  # for who answers when everything inside has failed

        async def send_with_id(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message)[HEADER] = identifier
            await send(message)

        with structlog.contextvars.bound_contextvars(request_id=identifier):
            await self.app(scope, receive, send_with_id)
