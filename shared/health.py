"""What a process says of itself: alive, ready. Processes that serve no HTTP otherwise say it on a port of their own."""

import json
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

from shared.metrics import MEDIA_TYPE, exposition

STALE_SECONDS = 60.0
Check = Callable[[], None]


class Health:
    """The heartbeat of a process's main loop, and the checks that tell whether it can work now."""

    def __init__(self, checks: Mapping[str, Check], *, clock: Callable[[], float] = time.monotonic) -> None:
        self._checks = checks
        self._clock = clock
        self._beaten = clock()

    def beat(self) -> None:
        """The main loop runs."""
        self._beaten = self._clock()

    @property
    def alive(self) -> bool:
        """Whether the main loop has run within the last minute."""
        return self._clock() - self._beaten <= STALE_SECONDS

    def failing(self) -> dict[str, str]:
        """What is not in order, by check; the heartbeat is one of them."""
        found = {} if self.alive else {"heartbeat": "stale"}
        for name, check in self._checks.items():
            try:
                check()
            except Exception as error:  # whatever a store's client raises, it is not in order
                found[name] = type(error).__name__
        return found


@contextmanager
def serve_health(
    health: Health, *, host: str, port: int, metrics: Callable[[], bytes] = exposition()
) -> Iterator[None]:
    """Answer `/livez`, `/readyz` and `/metrics` in a thread while the block runs; port 0 serves nothing."""
    if port == 0:
        yield
        return
    server = ThreadingHTTPServer((host, port), _handler(health, metrics))
    server.daemon_threads = True
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.1}, daemon=True)
    thread.start()
    try:
        yield
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def _handler(health: Health, metrics: Callable[[], bytes]) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:  # the base class names it
            if self.path == "/livez":
                self._answer(200 if health.alive else 503, {"status": "alive" if health.alive else "stale"})
            elif self.path == "/readyz":
                failing = health.failing()
                self._answer(503 if failing else 200, {"status": "not ready" if failing else "ready", **failing})
            elif self.path == "/metrics":
                self._send(200, MEDIA_TYPE, metrics())
            else:
                self._answer(404, {"status": "not found"})

        def _answer(self, status: int, content: dict[str, str]) -> None:
            self._send(status, "application/json", json.dumps(content).encode())

        def _send(self, status: int, kind: str, body: bytes) -> None:
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            """Health checks are not worth a line."""

    return Handler
