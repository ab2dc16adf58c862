"""Hands an admitted request to its service, and streams the answer back."""

import asyncio
from collections.abc import Mapping

import structlog
from starlette.requests import ClientDisconnect
from starlette.types import Message, Receive, Scope, Send

from gateway.body import check_body, check_idempotency_key
from gateway.errors import BodyTooLarge
from gateway.headers import to_client, to_service
from gateway.query import Parameters, check_query
from gateway.routes import Route
from gateway.surface import Service
from shared.errors import TemporarilyUnavailable
from shared.identity import Signer
from shared.principal import Principal

LARGEST_BODY = 64 * 1024
PATIENCE = 15.0
logger = structlog.get_logger(__name__)


class Forwarder:
    """Calls services as ASGI apps, wherever they run; `parameters` says what each row's query takes."""

    def __init__(self, services: Mapping[str, Service], signer: Signer, parameters: Mapping[Route, Parameters]) -> None:
        self._services = services
        self._signer = signer
        self._parameters = parameters

    async def forward(self, scope: Scope, receive: Receive, send: Send, *, route: Route, principal: Principal) -> None:
        """Serve one request by its row's service; raises BodyTooLarge, UnsupportedMediaType, InvalidInput,
        TemporarilyUnavailable.
        """
        body = await read_body(scope, receive)
        check_query(scope["query_string"], self._parameters[route])
        if body:
            check_body(scope["headers"], body)
        if route.method == "POST":
            check_idempotency_key(scope["headers"])
        token = self._signer.token(principal, route.service)
        inner = _inner_scope(scope, route, token)
        await _call(self._services[route.service], inner, _replay(body, receive), send)


async def read_body(scope: Scope, receive: Receive) -> bytes:
    """The whole body; raises BodyTooLarge as soon as it is known to be, and ClientDisconnect when it breaks off."""
    lengths = [value for name, value in scope["headers"] if name == b"content-length"]
    if lengths and lengths[0].isdigit() and int(lengths[0]) > LARGEST_BODY:
        raise BodyTooLarge
    body = b""
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientDisconnect
        body += bytes(message.get("body", b""))
        if len(body) > LARGEST_BODY:
            raise BodyTooLarge
        if not message.get("more_body", False):
            return body


def _inner_scope(scope: Scope, route: Route, token: str) -> Scope:
    path: bytes = scope["raw_path"]
    return {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": "1.1",
        "method": route.method,
        "scheme": "http",
        "path": path.decode(),
        "raw_path": path,
        "query_string": scope["query_string"],
        "root_path": "",
        "headers": to_service(scope["headers"], token=token, method=scope["method"]),
        "client": None,
        "server": None,
    }


def _replay(body: bytes, receive: Receive) -> Receive:
    """The body once, then whatever the client still says: that it went away."""
    unread = True

    async def receive_again() -> Message:
        nonlocal unread
        if unread:
            unread = False
            return {"type": "http.request", "body": body, "more_body": False}
        return await receive()

    return receive_again


async def _call(service: Service, scope: Scope, receive: Receive, send: Send) -> None:
    """Call a service; raises TemporarilyUnavailable when it does not begin to answer, or does not believe us."""
    is_believed = True
    try:
        async with asyncio.timeout(PATIENCE) as patience:

            async def send_on(message: Message) -> None:
                nonlocal is_believed
                if message["type"] == "http.response.start":
                    patience.reschedule(None)
                    is_believed = message["status"] != 401  # which services say of identities, the door alone of keys
                    message = {**message, "headers": to_client(message.get("headers", []))}
                if is_believed:
                    await send(message)

            await service.app(scope, receive, send_on)
    except TimeoutError:
        raise TemporarilyUnavailable from None
    if not is_believed:
        logger.error("a service does not believe the gateway: look at keys and clocks", service=service.name)
        raise TemporarilyUnavailable
