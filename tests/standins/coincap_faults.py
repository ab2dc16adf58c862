"""What can go wrong at CoinCap: faults of the answer, and faults inside a page."""

import socket
import struct
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

Row = dict[str, Any]

HTML = "<html><head><title>502 Bad Gateway</title></head><body><h1>502 Bad Gateway</h1></body></html>"
LIMIT = "You exceeded your 200 request(s) rate limit of your FREE plan"
GIGABYTE = 10**9


class Wire(Protocol):
    """What a fault needs of the running exchange."""

    connection: socket.socket
    close_connection: bool

    def answer(self, status: int, body: str, *, kind: str = ..., headers: dict[str, str] | None = ...) -> None:
        """Send one whole answer."""

    def begin(self, status: int, *, kind: str = ..., headers: dict[str, str] | None = ...) -> None:
        """Send an answer's head only."""

    def write(self, piece: bytes) -> None:
        """Send a piece of a body."""

    def pause(self, seconds: float) -> bool:
        """Wait, but no longer than the stand-in lives; True when it is over."""


@dataclass(frozen=True)
class Fault:
    """One answer that goes wrong: where, how, and with which options."""

    kind: str
    path: str
    asked: str | None
    options: dict[str, Any]

    def meets(self, path: str, asked: dict[str, str]) -> bool:
        """Whether it is for this call."""
        return self.path in path and (self.asked is None or any(self.asked in text for text in asked.values()))


def rate_limited(wire: Wire, body: str, *, retry_after: str | None = None) -> None:
    wire.answer(429, LIMIT, kind="text/plain", headers={"Retry-After": retry_after} if retry_after else None)


def slow(wire: Wire, body: str, *, pause: float = 0.02) -> None:
    wire.begin(200, headers={"Content-Length": str(len(body.encode()))})
    for byte in body.encode():
        wire.write(bytes([byte]))
        if wire.pause(pause):
            return


def dribbled_head(wire: Wire, body: str, *, pause: float = 0.02) -> None:
    """A head that never ends: always one more byte, before any time-out for reading one."""
    wire.write(b"HTTP/1.1 200 OK\r\nX-Long: ")
    while not wire.pause(pause):
        wire.write(b"a")


def silent(wire: Wire, body: str, *, seconds: float = 60.0) -> None:
    """The call is taken, and never answered."""
    wire.close_connection = True
    wire.pause(seconds)


def bomb(wire: Wire, body: str, *, size: int = 50_000_000) -> None:
    """As many bytes as asked for once they are unpacked, a thousandth of them on the wire."""
    packer = zlib.compressobj(wbits=31)
    piece = b" " * 1_000_000
    packed = b"".join(packer.compress(piece) for _ in range(size // len(piece))) + packer.flush()
    wire.begin(200, headers={"Content-Encoding": "gzip", "Content-Length": str(len(packed))})
    wire.write(packed)


def reset(wire: Wire, body: str) -> None:
    """Half a body, then a TCP reset: lingering for no time makes close() send RST."""
    wire.begin(200, headers={"Content-Length": str(len(body.encode()))})
    wire.write(body.encode()[: len(body) // 2])
    wire.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    wire.close_connection = True
    socket.close(wire.connection.detach())


def oversize(wire: Wire, body: str, *, size: int = GIGABYTE) -> None:
    """As many bytes as asked for, or as many as the client takes."""
    wire.begin(200, headers={"Content-Length": str(size)})
    piece = b" " * 65_536
    for sent in range(0, size, len(piece)):
        wire.write(piece[: size - sent])


def _fixed(status: int, text: str, *, kind: str = "application/json") -> Callable[..., None]:
    def send(wire: Wire, body: str) -> None:
        wire.answer(status, text, kind=kind)

    return send


ANSWERS: dict[str, Callable[..., None]] = {
    "rate-limited": rate_limited,
    "credits": _fixed(403, '{"error":"Forbidden: Monthly usage limit exceeded"}'),
    "unauthorized": _fixed(401, '{"error":"Unauthorized"}'),
    "forbidden": _fixed(403, '{"error":"Forbidden"}'),
    "retired": _fixed(
        429, '{"data":{"message":"We are deprecating this version of our API"},"timestamp":1749615886097}'
    ),
    "server-error": _fixed(500, '{"error":"Internal Server Error"}'),
    "bad-gateway": _fixed(502, HTML, kind="text/html"),
    "html": _fixed(200, HTML, kind="text/html"),
    "redirect": lambda wire, _: wire.answer(302, "", headers={"Location": "https://example.com/"}),
    "slow": slow,
    "dribbled-head": dribbled_head,
    "silent": silent,
    "bomb": bomb,
    "reset": reset,
    "oversize": oversize,
    "truncated": lambda wire, body: wire.answer(200, body[: len(body) // 2]),
    "empty-body": lambda wire, _: wire.answer(200, ""),
    "body": lambda wire, _, *, text, status=200: wire.answer(status, text),
}
"""Faults of the whole answer, by name; the options of one are its keyword arguments."""


def _set(**values: Any) -> Callable[[Row], list[Any]]:
    return lambda row: [{**row, **values}]


def _exponent(row: Row) -> list[Row]:
    """Shift the point three places: the same value, written with an exponent."""
    whole, _, rest = str(row["value"]).partition(".")
    return [{**row, "value": f"{whole}{rest}E-{len(rest)}"}]


MUTATIONS: dict[str, Callable[[Row], list[Any]]] = {
    "nan": _set(value=float("nan")),
    "nan-text": _set(value="NaN"),
    "infinity": _set(value=float("inf")),
    "negative": lambda row: [{**row, "value": f"-{row['value']}"}],
    "zero": _set(value="0.0000000000000000"),
    "null": _set(value=None),
    "no-value": lambda row: [{key: value for key, value in row.items() if key != "value"}],
    "40-digits": _set(value="1234567890123456789012.345678901234567890"),
    "41-digits": _set(value="1234567890123456789012.3456789012345678901"),
    "exponent": _exponent,
    "huge-exponent": _set(value="1E999"),
    "tiny-exponent": _set(value="1E-61"),
    "seconds": lambda row: [{**row, "time": row["time"] // 1000}],
    "text-time": lambda row: [{**row, "time": str(row["time"])}],
    "off-grid": lambda row: [{**row, "time": row["time"] + 1}],
    "outside": lambda row: [{**row, "time": row["time"] - 86_400_000}],
    "far-future": lambda row: [{**row, "time": row["time"] + 100 * 365 * 86_400_000}],
    "duplicate": lambda row: [row, dict(row)],
    "conflict": lambda row: [row, {**row, "value": "1.5"}],
    "extra-keys": _set(vwap="1.0", nested={"a": [1, 2.5, None]}),
    "not-an-object": lambda _: ["drift"],
    "bad-supply": _set(circulatingSupply="many"),
    "negative-supply": _set(circulatingSupply="-1"),
    "no-supply": lambda row: [{key: value for key, value in row.items() if key != "circulatingSupply"}],
}
"""Faults of one row of a page, by name, `value` being what it tells; `unsorted` is the one fault of a whole page."""


def mutate(kind: str, rows: list[Row], *, key: str, at: int = 0) -> list[Row]:
    """The page with its row `at` gone wrong, whose value stands under `key`."""
    if kind == "unsorted":
        return rows[::-1]
    row = {"value" if name == key else name: value for name, value in rows[at].items()}
    return rows[:at] + [_named(wrong, key) for wrong in MUTATIONS[kind](row)] + rows[at + 1 :]


def _named(row: Any, key: str) -> Any:
    return {key if name == "value" else name: value for name, value in row.items()} if isinstance(row, dict) else row
