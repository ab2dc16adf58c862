"""One request id from the client through the gateway and every service to the worker and the logs."""

import re
import time
import uuid

import structlog
from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

HEADER = "x-request-id"
QUIET = ("/livez", "/readyz", "/openapi.json", "/internal/changes")
logger = structlog.get_logger(__name__)
SANE = re.compile(r"[A-Za-z0-9._-]{1,64}")


def request_id() -> str | None:
    """The id of the request being served, if there is one."""
    value = structlog.contextvars.get_contextvars().get("request_id")
    return None if value is None else str(value)


class Correlation:
    """ASGI middleware: takes a sane `X-Request-Id` or makes one, binds it to the logs and sends it back.

    Every request leaves one log line, under the name of who served it.
    """

    def __init__(self, app: ASGIApp, *, name: str) -> None:
        self.app = app
        self._name = name

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request under its id."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        given = Headers(scope=scope).get(HEADER, "")
        identifier = given if SANE.fullmatch(given) else uuid.uuid4().hex
        scope["request_id"] = identifier  # for who answers when everything inside has failed

        status, started = 0, time.perf_counter()

        async def send_with_id(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                MutableHeaders(scope=message)[HEADER] = identifier
            await send(message)

        with structlog.contextvars.bound_contextvars(request_id=identifier):
            try:
                await self.app(scope, receive, send_with_id)
            finally:
                if scope["path"] not in QUIET:
                    spent = round((time.perf_counter() - started) * 1000, 1)
                    logger.info(
                        "request",
                        by=self._name,
                        method=scope["method"],
                        path=scope["path"],
                        status=status,
                        milliseconds=spent,
                    )
