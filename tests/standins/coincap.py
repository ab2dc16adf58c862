"""A CoinCap v3 server in this process: the real wire format over a real socket, faults on demand, calls counted."""

import csv
import json
import threading
from collections import Counter
from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Self
from urllib.parse import parse_qsl, urlsplit

from tests.standins.coincap_faults import ANSWERS, MUTATIONS, Fault, Row, mutate

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MINUTE, DAY = 60_000, 86_400_000
PERIODS = {
    "m1": MINUTE,
    "m5": 5 * MINUTE,
    "m15": 15 * MINUTE,
    "m30": 30 * MINUTE,
    "h1": 60 * MINUTE,
    "h2": 120 * MINUTE,
    "h6": 360 * MINUTE,
    "h12": 720 * MINUTE,
    "d1": DAY,
}
LIMITS = {"m1": DAY, "m5": 5 * DAY, "h1": 30 * DAY, "h2": 60 * DAY, "h6": 180 * DAY, "d1": 365 * DAY}
LARGEST = 365 * DAY


def milliseconds(moment: datetime) -> int:
    """Epoch milliseconds of an aware datetime."""
    return (moment - EPOCH) // timedelta(milliseconds=1)


def point(at: datetime, price: Any, *, supply: Any = None, **extra: Any) -> Row:
    """One row of a history as CoinCap writes it; `at` is aware UTC, without `supply` the key is absent."""
    row = {"priceUsd": price, "time": milliseconds(at), "date": _date(at), **extra}
    return row if supply is None else {**row, "circulatingSupply": supply}


class StandinCoinCap:
    """CoinCap, as a context manager: give it data, tell it what fails next, read what was asked.

    `calls` counts by path (`/assets/bitcoin/history`), `queries` keeps (path, parameters) in order, `headers` what came
    with them. `unknown` is what an unknown slug gets: `404` or `empty`. No row after `now` is served: d1 ends
    yesterday, h1 with the bucket forming.
    """

    def __init__(
        self, key: str = "standin-key", *, now: Callable[[], datetime] = lambda: datetime.now(UTC), unknown: str = "404"
    ) -> None:
        self.key = key
        self.now = now
        self.unknown = unknown
        self.calls: Counter[str] = Counter()
        self.queries: list[tuple[str, dict[str, str]]] = []
        self.headers: list[dict[str, str]] = []
        self._histories: dict[tuple[str, str], list[Row]] = {}
        self._caps: dict[str, Row] = {}
        self._cap_histories: dict[str, list[Row]] = {}
        self._faults: list[Fault] = []
        self._lock = threading.Lock()
        self._over = threading.Event()

    def __enter__(self) -> Self:
        handler = type("Handler", (_Handler,), {"standin": self, "over": self._over})
        self._server = _Server(("127.0.0.1", 0), handler)
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    @property
    def url(self) -> str:
        """What a client's base URL is set to."""
        return f"http://127.0.0.1:{self._server.server_address[1]}/v3"

    def give_history(self, slug: str, interval: str, rows: Iterable[Row]) -> None:
        """Serve these rows (see `point`) from now on, untouched and in this order."""
        self._histories[slug, interval] = list(rows)

    def load_csv(self, slug: str, interval: str, path: Path, column: str) -> None:
        """Serve a CSV of ../shared/data: `open` is the hour's sample, `close` the day's; the text goes through."""
        with path.open(newline="") as lines:
            rows = [point(_utc(row.get("time") or row["date"]), row[column]) for row in csv.DictReader(lines)]
        self.give_history(slug, interval, rows)

    def give_market_cap(
        self, slug: str, cap: str | None, *, price: str | None = None, supply: str | None = None
    ) -> None:
        """Serve this live snapshot; None is the null that CoinCap writes for what it does not know."""
        asset = {"id": slug, "rank": "1", "symbol": slug[:3].upper(), "name": slug.title(), "supply": supply}
        self._caps[slug] = {**asset, "maxSupply": None, "marketCapUsd": cap, "priceUsd": price, "tokens": {}}

    def give_market_cap_history(
        self, slug: str, caps: Iterable[tuple[datetime, str | None]], *, spelling: str = "marketCapUsd"
    ) -> None:
        """Serve these market capitalisations under one of the three spellings."""
        self._cap_histories[slug] = [
            {spelling: cap, "time": milliseconds(at), "date": _date(at)}
            for at, cap in sorted(caps, key=lambda told: told[0])
        ]

    def fail_next(self, kind: str, times: int = 1, *, path: str = "", asked: str | None = None, **options: Any) -> None:
        """Let the next calls go wrong, whose path contains `path`, and a parameter `asked`.

        How is a name in ANSWERS, MUTATIONS, or `unsorted`.
        """
        if kind not in {*ANSWERS, *MUTATIONS, "unsorted"}:
            raise ValueError(f"the stand-in cannot fail by {kind!r}")
        with self._lock:
            self._faults += [Fault(kind, path, asked, options)] * times

    def note(self, path: str, asked: dict[str, str]) -> Fault | None:
        """Count a call and say what goes wrong with it."""
        with self._lock:
            self.calls[path] += 1
            self.queries.append((path, asked))
            fault = next((fault for fault in self._faults if fault.meets(path, asked)), None)
            if fault:
                self._faults.remove(fault)
            return fault

    def reply(self, path: str, asked: dict[str, str], fault: Fault | None) -> tuple[int, Any]:
        """The status and the document for a call that carries the key."""
        match path.strip("/").split("/"):
            case ["assets"]:
                assets = [self._caps[slug] for slug in asked.get("ids", "").split(",") if slug in self._caps]
                return 200, _wrong(assets, fault, "marketCapUsd")
            case ["assets", slug] if slug in self._caps:
                return 200, self._caps[slug]
            case ["assets", slug, "history"] if any(slug == known for known, _ in self._histories):
                return self._history(slug, asked, fault)
            case ["assets", slug, "marketcap-history"] if slug in self._cap_histories:
                ends = milliseconds(self.now())
                status, page = self._window(self._cap_histories[slug], asked, span=LARGEST, ends=ends)
                return status, _wrong(page, fault, "marketCapUsd") if status == 200 else page
            case ["assets", slug, _] | ["assets", slug]:
                return (200, []) if self.unknown == "empty" else (404, f"{slug} not found")
        return 404, "Not Found"

    def _history(self, slug: str, asked: dict[str, str], fault: Fault | None) -> tuple[int, Any]:
        interval, now = asked.get("interval", ""), milliseconds(self.now())
        if interval not in PERIODS:
            return 400, "invalid interval"
        ends = now // DAY * DAY - 1 if interval == "d1" else now
        rows = self._histories.get((slug, interval), [])
        status, page = self._window(rows, asked, span=LIMITS.get(interval, LARGEST), ends=ends)
        return status, _wrong(page, fault, "priceUsd") if status == 200 else page

    def _window(self, rows: list[Row], asked: dict[str, str], *, span: int, ends: int) -> tuple[int, Any]:
        """The rows from start to end, both included, and none after `ends`."""
        if ("start" in asked) != ("end" in asked):
            return 400, "start and end go together"
        end = int(asked.get("end", ends))
        start = int(asked.get("start", end - span + 1))
        if end - start > span:
            return 400, "the window is too large"
        return 200, [row for row in rows if start <= row["time"] <= min(end, ends)]


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that hangs up is what many of these tests are about."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    standin: StandinCoinCap
    over: threading.Event

    def do_GET(self) -> None:
        address = urlsplit(self.path)
        path, asked = address.path.removeprefix("/v3"), dict(parse_qsl(address.query))
        self.standin.headers.append(dict(self.headers))
        fault = self.standin.note(path, asked)
        if self.headers.get("Authorization") != f"Bearer {self.standin.key}":
            self.answer(401, '{"error":"Unauthorized"}')
            return
        status, data = self.standin.reply(path, asked, fault)
        told = {"error": data} if status >= 400 else {"data": data}
        body = json.dumps({**told, "timestamp": milliseconds(self.standin.now())})
        if fault and fault.kind in ANSWERS:
            ANSWERS[fault.kind](self, body, **fault.options)
        else:
            self.answer(status, body)

    def answer(
        self, status: int, body: str, *, kind: str = "application/json", headers: dict[str, str] | None = None
    ) -> None:
        """Send one whole answer."""
        self.begin(status, kind=kind, headers={"Content-Length": str(len(body.encode())), **(headers or {})})
        self.write(body.encode())

    def begin(self, status: int, *, kind: str = "application/json", headers: dict[str, str] | None = None) -> None:
        """Send an answer's head only."""
        self.send_response(status)
        for name, value in {"Content-Type": kind, **(headers or {})}.items():
            self.send_header(name, value)
        self.end_headers()

    def write(self, piece: bytes) -> None:
        """Send a piece of a body."""
        self.wfile.write(piece)

    def pause(self, seconds: float) -> bool:
        """Wait, but no longer than the stand-in lives; True when it is over."""
        return self.over.wait(seconds)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class says so
        """Quiet."""


def _wrong(page: list[Row], fault: Fault | None, key: str) -> list[Row]:
    """The page with its fault, if it is to have one."""
    return (
        page
        if not page or fault is None or fault.kind in ANSWERS
        else mutate(fault.kind, page, key=key, **fault.options)
    )


def _utc(text: str) -> datetime:
    at = datetime.fromisoformat(text)
    return at.astimezone(UTC) if at.tzinfo else at.replace(tzinfo=UTC)


def _date(at: datetime) -> str:
    return at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
