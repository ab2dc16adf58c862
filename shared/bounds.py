"""HTTP/1.1 as uvicorn reads it, with bounds: its parser keeps a head for as long as it goes on, in size and in time."""

import asyncio
import json
import uuid
from http import HTTPStatus
from typing import Any, ClassVar

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from shared.correlation import HEADER
from shared.errors import MEDIA_TYPE, Problem, problem_body

LARGEST_HEAD = 64 * 1024


class MalformedRequest(Problem):
    """What came is not a request of HTTP 1.0 or 1.1."""

    status = 400


class HeadTooLarge(Problem):
    """The request line and the headers together are larger than 64 KiB; nothing of them was looked at."""

    status = 431


class BoundedProtocol(HttpToolsProtocol):
    """Refuses a head of more than 64 KiB with 431, and hangs up on a request that does not arrive within 30 seconds.

    What goes on for 64 KiB and becomes no head and no piece of a body, such as trailers, is refused as well.
    """

    patience: ClassVar[float] = 30.0  # seconds that a request may take to arrive

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._deadline: asyncio.TimerHandle | None = None
        self._is_arriving = False
        self._has_moved = False
        self._unused = 0
        self._refusal: Problem = MalformedRequest()

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # uvicorn's own
        """Whoever connects has to ask for something in time."""
        super().connection_made(transport)
        self._deadline = self.loop.call_later(self.patience, self.timeout_keep_alive_handler)

    def connection_lost(self, exc: Exception | None) -> None:
        """Nobody is waited for any more."""
        self._stop_waiting()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Read on, as long as that leads to something."""
        self._has_moved = False
        super().data_received(data)
        if self.transport.is_closing():
            return
        self._unused = 0 if self._has_moved else self._unused + len(data)
        if self._unused > LARGEST_HEAD:
            self._refuse(HeadTooLarge())
        elif self._is_arriving and self._deadline is None:
            self._deadline = self.loop.call_later(self.patience, self.timeout_keep_alive_handler)

    def on_message_begin(self) -> None:
        """The first byte of a request."""
        super().on_message_begin()
        self._is_arriving = True

    def on_headers_complete(self) -> None:
        """The head is whole; raises HeadTooLarge, which the parser hands to `send_400_response`."""
        self._has_moved = True
        if len(self.url) + sum(len(name) + len(value) + 4 for name, value in self.headers) > LARGEST_HEAD:
            self._refusal = HeadTooLarge()
            raise self._refusal
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        """A piece of the body, wanted or not."""
        self._has_moved = True
        super().on_body(body)

    def on_message_complete(self) -> None:
        """The request has arrived."""
        self._has_moved, self._is_arriving = True, False
        self._stop_waiting()
        super().on_message_complete()

    def send_400_response(self, msg: str) -> None:  # noqa: ARG002 - its own words, where we say what it is
        """Refuse what the parser did not take."""
        self._refuse(self._refusal)

    def _refuse(self, problem: Problem) -> None:
        """Say why, unless that would be taken for the answer to another request, or stand in one; then hang up."""
        if self.cycle is None or self.cycle.response_complete:
            self.transport.write(_answer(problem))
        elif self._is_of_this_cycle():
            self.cycle.disconnected = True  # whoever is at work on it answers nobody
            self.transport.write(_answer(problem))
        self.transport.close()

    def _is_of_this_cycle(self) -> bool:
        """Whether what is refused is the body of the request whose answer is the next one, and has not begun."""
        return self.cycle.more_body and not self.cycle.response_started and not self.pipeline

    def _stop_waiting(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None


def _answer(problem: Problem) -> bytes:
    """The problem, as the last answer of a connection."""
    identifier = uuid.uuid4().hex
    body = json.dumps({**problem_body(problem, "/"), "request_id": identifier}).encode()
    lines = (
        f"HTTP/1.1 {problem.status} {HTTPStatus(problem.status).phrase}",
        f"content-type: {MEDIA_TYPE}",
        f"content-length: {len(body)}",
        f"{HEADER}: {identifier}",
        "connection: close",
    )
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body
