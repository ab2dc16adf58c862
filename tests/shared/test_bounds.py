"""What a client may send before it has asked for anything: so much, and for so long."""

import asyncio
import json
import socket
import time
from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest
from starlette.types import Receive, Scope, Send

from shared.bounds import LARGEST_HEAD, BoundedProtocol
from tests.serving import listening

GET = b"GET / HTTP/1.1\r\nHost: x\r\n"
CHUNKED = b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
END = b"\r\n\r\n"
PIECE = b"b" * 16_384
SLOW = 0.5


class Hasty(BoundedProtocol):
    """Does not wait as long."""

    patience = 0.3


async def count(scope: Scope, receive: Receive, send: Send) -> None:
    """Answers with the size of the body; `/slow` takes its time in the middle, `/late` before it reads, `/early` does
    not read before it has begun.
    """
    if scope["path"] == "/early":
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"half ", "more_body": True})
    elif scope["path"] == "/late":
        await asyncio.sleep(SLOW)
    size, more = 0, True
    while more:
        message = await receive()
        size += len(message.get("body", b""))
        more = message.get("more_body", False)
    if scope["path"] != "/early":
        await send({"type": "http.response.start", "status": 200, "headers": []})
    if scope["path"] == "/slow":
        await send({"type": "http.response.body", "body": b"half ", "more_body": True})
        await asyncio.sleep(SLOW)
    await send({"type": "http.response.body", "body": str(size).encode()})


async def app(scope: Scope, receive: Receive, send: Send) -> None:
    """Has no lifespan."""
    if scope["type"] == "http":
        await count(scope, receive, send)


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    """A server as our processes are."""
    with listening(app) as url:
        yield url


@pytest.fixture(scope="module")
def hasty() -> Iterator[str]:
    """One that soon hangs up."""
    with listening(app, http=Hasty) as url:
        yield url


def connected(url: str) -> socket.socket:
    address = urlsplit(url)
    return socket.create_connection((str(address.hostname), int(address.port or 0)), timeout=5)


def heard(connection: socket.socket, until: bytes = b"") -> bytes:
    """All that is said until the other side closes, or has said that."""
    said = b""
    while not (until and until in said) and (piece := connection.recv(65536)):
        said += piece
    return said


def refusal(said: bytes) -> tuple[int, str]:
    """The one problem that was answered, as the last word."""
    head, _, body = said.partition(END)
    problem = json.loads(body)
    assert b"content-type: application/problem+json" in head
    assert b"connection: close" in head
    assert f"x-request-id: {problem['request_id']}".encode() in head
    assert head.startswith(f"HTTP/1.1 {problem['status']} ".encode())
    return problem["status"], problem["code"]


@pytest.mark.parametrize(
    "sent",
    [
        GET + b"X-A: " + b"b" * LARGEST_HEAD + END,
        GET + b"X-A: b\r\n" * (LARGEST_HEAD // 8) + END[2:],
        b"GET /" + b"b" * LARGEST_HEAD + b" HTTP/1.1\r\nHost: x" + END,
    ],
    ids=["header", "headers", "address"],
)
def test_a_head_that_is_too_large_is_refused(url: str, sent: bytes) -> None:
    with connected(url) as connection:
        connection.sendall(sent)
        assert refusal(heard(connection)) == (431, "head-too-large")


@pytest.mark.parametrize(
    "begin",
    [
        GET + b"X-A: ",
        b"GET /",
        GET + b"X-A: b\r\nX-",
        CHUNKED + b"2\r\n{}\r\n0\r\nX-A: ",
        CHUNKED + b"2;a=",
    ],
    ids=["header", "address", "name", "trailer", "extension"],
)
def test_what_goes_on_without_an_end_is_not_kept(url: str, begin: bytes) -> None:
    assert taken_of(url, begin, PIECE) < 10 * LARGEST_HEAD


def test_blank_lines_lead_nowhere(url: str) -> None:
    assert taken_of(url, b"", b"\r\n" * 8_192) < 10 * LARGEST_HEAD


def taken_of(url: str, begin: bytes, piece: bytes) -> int:
    """How much of the same without end can be sent, after a beginning; fails if there is no end to that."""
    with connected(url) as connection:
        connection.sendall(begin)
        for number in range(1000):
            time.sleep(0.005)
            try:
                connection.sendall(piece)
            except ConnectionError:
                return number * len(piece)
    raise AssertionError("everything was taken")


def test_what_is_no_http_is_told_as_a_problem(url: str) -> None:
    with connected(url) as connection:
        connection.sendall(b"HELLO" + END)
        assert refusal(heard(connection)) == (400, "malformed-request")


def test_what_is_just_small_enough_is_served_piece_by_piece(url: str) -> None:
    body = b"".join(b"1\r\n%c\r\n" % byte for byte in bytes(65_536)) + b"0\r\n\r\n"
    with connected(url) as connection:
        head = GET + b"X-A: " + b"b" * (LARGEST_HEAD - 100) + END
        for part in (head[:40_000], head[40_000:], CHUNKED + body + GET + b"Connection: close" + END):
            connection.sendall(part)
        said = heard(connection)
    assert said.count(b"HTTP/1.1 200 ") == 3
    assert b"65536" in said


def test_a_refusal_does_not_stand_in_the_middle_of_another_answer(url: str) -> None:
    with connected(url) as connection:
        connection.sendall(b"GET /slow HTTP/1.1\r\nHost: x" + END)
        heard(connection, until=b"half ")
        connection.sendall(GET + b"X-A: " + b"b" * LARGEST_HEAD + END)
        assert heard(connection) == b""


@pytest.mark.parametrize("path", [b"/", b"/late"])
@pytest.mark.parametrize("rest", [b"zz\r\nabc\r\n", b"f" * 18 + b"\r\nabc\r\n", b"2\r\n{}0\r\n\r\n"], ids=str)
def test_a_body_that_is_no_http_is_told_while_nothing_else_was_answered(url: str, path: bytes, rest: bytes) -> None:
    with connected(url) as connection:
        connection.sendall(CHUNKED.replace(b"/", path, 1) + b"2\r\n{}\r\n")
        time.sleep(0.1)
        connection.sendall(rest)
        assert refusal(heard(connection)) == (400, "malformed-request")


def test_a_refusal_of_a_body_does_not_stand_in_an_answer_that_has_begun(url: str) -> None:
    with connected(url) as connection:
        connection.sendall(CHUNKED.replace(b"/", b"/early", 1))
        heard(connection, until=b"half ")
        connection.sendall(b"zz\r\nabc\r\n")
        assert b"400" not in heard(connection)


@pytest.mark.parametrize("next_", [b"HELLO" + END, CHUNKED + b"zz\r\n"], ids=["no request", "a body that is none"])
def test_a_refusal_is_not_taken_for_the_answer_to_the_request_before(url: str, next_: bytes) -> None:
    with connected(url) as connection:
        connection.sendall(b"GET /late HTTP/1.1\r\nHost: x" + END)
        time.sleep(0.1)
        connection.sendall(next_)
        assert heard(connection) == b""


@pytest.mark.parametrize("sent", [b"", GET, CHUNKED + b"2\r\n{", GET + b"Content-Length: 9" + END], ids=str)
def test_who_does_not_finish_a_request_is_hung_up_on(hasty: str, sent: bytes) -> None:
    with connected(hasty) as connection:
        began = time.monotonic()
        connection.sendall(sent)
        assert heard(connection) == b""
        assert time.monotonic() - began >= Hasty.patience / 2


def test_a_slow_answer_is_waited_for_and_another_may_follow(hasty: str) -> None:
    assert Hasty.patience < SLOW
    with connected(hasty) as connection:
        for _ in range(2):
            connection.sendall(b"GET /slow HTTP/1.1\r\nHost: x" + END)
            assert b"half " in heard(connection, until=b"0\r\n\r\n")
