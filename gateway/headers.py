"""Which headers go through the door, and which every answer carries."""

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from shared import correlation, identity
from shared import method as asked

Headers = list[tuple[bytes, bytes]]

TO_SERVICE = {
    b"accept",
    b"accept-encoding",
    b"content-type",
    b"idempotency-key",
    b"if-none-match",
    b"last-event-id",
}
NOT_TO_CLIENT = {
    b"connection",
    b"date",
    b"keep-alive",
    b"proxy-authenticate",
    b"proxy-connection",
    b"server",
    b"set-cookie",
    b"te",
    b"trailer",
    b"transfer-encoding",
    b"upgrade",
}
INTERNAL = b"x-tickgate-"


def to_service(headers: Headers, *, token: str, method: str) -> Headers:
    """What a service is told: the client's headers on the list, the proven identity, the request id, a HEAD."""
    passed = [(name, value) for name, value in headers if name in TO_SERVICE]
    request_id = correlation.request_id() or ""
    own = [(identity.HEADER.encode(), token.encode()), (correlation.HEADER.encode(), request_id.encode())]
    return passed + own + ([(asked.HEADER.encode(), b"HEAD")] if method == "HEAD" else [])


def to_client(headers: Headers) -> Headers:
    """What the client is told of a service's headers: nothing of the hop between us, nothing internal."""
    lower = [(name.lower(), value) for name, value in headers]
    named = {part.strip().lower() for name, value in lower if name == b"connection" for part in value.split(b",")}
    hidden = NOT_TO_CLIENT | named
    return [(name, value) for name, value in lower if name not in hidden and not name.startswith(INTERNAL)]


def keyed(send: Send) -> Send:
    """Marks an answer as one that depends on the key: no shared cache may keep it."""

    async def send_keyed(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            headers.add_vary_header("X-API-Key")
            headers.setdefault("Cache-Control", "no-store")
        await send(message)

    return send_keyed


def bodiless(send: Send) -> Send:
    """Answers HEAD with what GET would: the headers, and the end at once."""

    async def send_head(message: Message) -> None:
        if message["type"] == "http.response.start":
            await send(message)
            await send({"type": "http.response.body", "body": b"", "more_body": False})

    return send_head


class SafeHeaders:
    """ASGI middleware: the headers that keep a browser from guessing and from telling."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""

        async def send_safe(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                headers["X-Content-Type-Options"] = "nosniff"
                headers.setdefault("Referrer-Policy", "no-referrer")
            await send(message)

        await self.app(scope, receive, send_safe)
