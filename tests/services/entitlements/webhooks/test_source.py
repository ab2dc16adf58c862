"""D4, D5: a receiver may answer as it likes, and a target that is not public is never spoken to."""

import asyncio
import socket
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager, suppress
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler

import httpx
import pytest

from cli.embedded.children import free_port
from services.entitlements.webhooks.source import READ, HttpReceiver, LookUps, Outcome, resolve
from tests.services.entitlements.webhooks.receivers import Authority, Listener, receiving, saying

HEADERS = {"webhook-id": "1"}
NAME = "receiver.example.com"
REFUSED = "connection-failed"
LITERALS = (
    *("127.0.0.1", "127.1", "127.255.255.254", "2130706433", "0x7f000001", "0x7f.0.0.1", "0177.0.0.1", "017700000001"),
    *("0.0.0.0", "0", "10.0.0.1", "10.255.255.255", "100.64.0.1", "169.254.169.254", "172.16.0.1", "172.31.255.254"),
    *("192.168.0.1", "192.0.0.1", "192.0.2.1", "192.88.99.1", "198.18.0.1", "198.51.100.1", "203.0.113.1"),
    *("224.0.0.1", "240.0.0.1", "255.255.255.255", "192.31.196.1", "192.52.193.1", "192.175.48.1"),
    *("[::1]", "[::]", "[::ffff:127.0.0.1]", "[::ffff:7f00:1]", "[::127.0.0.1]", "[64:ff9b::7f00:1]", "[64:ff9b:1::1]"),
    *("[100::1]", "[2001::1]", "[2001:db8::1]", "[2002:7f00:1::]", "[3fff::1]", "[5f00::1]", "[fc00::1]", "[fd00::1]"),
    *("[fe80::1]", "[fec0::1]", "[ff02::1]", "[2620:4f:8000::1]", "localhost", "localhost.", "ip6-localhost"),
)
ANSWERS = (
    ("127.0.0.1",),
    ("::1",),
    ("10.0.0.1",),
    ("169.254.169.254",),
    ("fd00:ec2::254",),
    ("::ffff:127.0.0.1",),
    ("fe80::1%lo",),
    ("93.184.216.34", "127.0.0.1"),
    ("2606:4700::1111", "::1"),
    ("93.184.216.34", "10.0.0.1", "1.1.1.1"),
    (),
)


@pytest.fixture
def listener() -> Iterator[Listener]:
    """Whoever comes is seen."""
    with closing(Listener()) as listener:
        yield listener


def post(url: str, *, total: float = 5.0) -> Outcome:
    """One attempt by a receiver of development, that may speak to this machine."""
    return HttpReceiver(anywhere=True, total=total).post(url, HEADERS, "{}")


def test_d5_there_are_sixty_of_them() -> None:
    assert len(set(LITERALS)) + len(ANSWERS) >= 60


def test_d5_no_hostile_address_is_connected_to_however_it_is_written(listener: Listener) -> None:
    receiver = HttpReceiver(total=3.0)
    outcomes = {host: receiver.post(f"https://{host}:{listener.port}/", HEADERS, "{}") for host in LITERALS}
    assert {host: outcome.error for host, outcome in outcomes.items()} == dict.fromkeys(LITERALS, "target-refused")
    assert listener.connections == 0


@pytest.mark.parametrize("found", ANSWERS, ids=str)
def test_d5_no_name_that_leads_to_a_hostile_address_is_connected_to(listener: Listener, found: Sequence[str]) -> None:
    receiver = HttpReceiver(resolver=lambda _host, _port: found, total=3.0)
    assert receiver.post(f"https://{NAME}:{listener.port}/", HEADERS, "{}").error == "target-refused"
    assert listener.connections == 0


@pytest.mark.parametrize(
    "url", ["HTTPS://{}/x", "https://{}:/x", "https://{}:0443/x", "https://{}/x#", "https://{}/\xe9"]
)
def test_d5_what_was_taken_once_is_tried_however_it_is_written(url: str) -> None:
    asked = list[tuple[str, int]]()

    def nobody(host: str, port: int) -> list[str]:
        asked.append((host, port))
        raise socket.gaierror

    assert HttpReceiver(resolver=nobody).post(url.format(NAME), HEADERS, "{}").error == "no-such-host"
    assert asked == [(NAME, 443)]


@pytest.mark.parametrize(
    "url", ["http://{}/", "ftp://{}/", "https://{}:0/", "https://{}:65536/", "https://printer/", "//"]
)
def test_d5_what_protects_is_looked_at_before_a_name_is_looked_up(url: str) -> None:
    receiver = HttpReceiver(resolver=lambda _host, _port: ["8.8.8.8"], total=1.0)
    assert receiver.post(url.format(NAME), HEADERS, "{}").error == "target-refused"


def test_d5_without_the_check_the_listener_is_reached(listener: Listener) -> None:
    """The negative control of the tests above."""
    for host in ("127.0.0.1", "localhost", "2130706433", "[::1]"):
        post(f"http://{host}:{listener.port}/")
    assert listener.connections >= 4


@pytest.fixture
def proxied(listener: Listener, monkeypatch: pytest.MonkeyPatch) -> Listener:
    """The environment names a proxy, as it may in a company's network."""
    for name in ("http_proxy", "https_proxy", "all_proxy"):
        for written in (name, name.upper()):
            monkeypatch.setenv(written, f"http://127.0.0.1:{listener.port}")
    for written in ("no_proxy", "NO_PROXY"):
        monkeypatch.delenv(written, raising=False)
    return listener


def test_d5_a_proxy_that_the_environment_names_is_not_used(proxied: Listener) -> None:
    authority = Authority()
    with receiving(saying(204), tls=authority.serving(NAME)) as received:
        receiver = HttpReceiver(anywhere=True, resolver=lambda *_: ["127.0.0.1"], tls=authority.trusting())
        assert receiver.post(f"https://{NAME}:{received.port}/hook", HEADERS, "{}").status == 204
    with receiving(saying(204)) as received:
        assert post(received.url).status == 204
    assert proxied.connections == 0


def test_d5_whoever_trusts_the_environment_uses_it(proxied: Listener) -> None:
    """The negative control of the test above."""
    with suppress(httpx.HTTPError):
        httpx.post(f"https://{NAME}/hook")
    assert proxied.connections == 1


def test_d5_a_redirect_is_not_followed(listener: Listener) -> None:
    with receiving(saying(302, Location=f"http://127.0.0.1:{listener.port}/")) as received:
        outcome = post(received.url)
    assert (outcome.status, outcome.is_success, listener.connections) == (302, False, 0)


def test_d5_a_name_is_looked_up_once_and_what_was_checked_is_what_is_connected_to() -> None:
    answers = [["127.0.0.1"], ["203.0.113.1"]]
    receiver = HttpReceiver(anywhere=True, resolver=lambda _host, _port: answers.pop(0), total=3.0)
    with receiving(saying(200)) as received:
        assert receiver.post(f"http://{NAME}:{received.port}/hook", HEADERS, "{}").status == 200
    assert len(answers) == 1
    assert received.messages[0][1]["Host"] == f"{NAME}:{received.port}"


def test_d5_a_name_that_turns_hostile_is_refused_at_that_attempt(listener: Listener) -> None:
    def rebound(_host: str, _port: int) -> list[str]:
        if not asked:
            asked.append(True)
            raise socket.gaierror
        return ["127.0.0.1"]

    asked: list[bool] = []
    receiver = HttpReceiver(resolver=rebound, total=3.0)
    errors = [receiver.post(f"https://{NAME}:{listener.port}/", HEADERS, "{}").error for _ in range(2)]
    assert (errors, listener.connections) == (["no-such-host", "target-refused"], 0)


def test_d4_a_name_whose_servers_are_silent_is_left_in_time_and_keeps_nobody_else(listener: Listener) -> None:
    over = threading.Event()

    def silent(_host: str, _port: int) -> list[str]:
        over.wait(10)
        return ["127.0.0.1"]

    receiver = HttpReceiver(anywhere=True, resolver=silent, total=0.3)
    url = f"http://{NAME}:{listener.port}/"
    started = time.monotonic()
    assert receiver.post(url, HEADERS, "{}").error == "timeout"
    assert time.monotonic() - started < 2
    over.set()
    assert (receiver.post(url, HEADERS, "{}").error, listener.connections) == ("protocol-error", 1)


def test_d4_look_ups_that_do_not_end_are_so_many_and_no_more() -> None:
    over, asked = threading.Event(), []

    def silent(host: str, _port: int) -> list[str]:
        asked.append(host)
        over.wait(10)
        return []

    async def look_up(look_ups: LookUps) -> None:
        for _ in range(4):
            with suppress(TimeoutError):
                async with asyncio.timeout(0.05):
                    await look_ups.addresses(NAME, 443)

    asyncio.run(look_up(LookUps(silent, most=2)))
    over.set()
    assert asked == [NAME] * 2


def test_the_system_s_resolver_gives_every_address() -> None:
    assert "127.0.0.1" in resolve("127.0.0.1", 80)


def test_d4_a_message_arrives_as_it_was_written() -> None:
    with receiving(saying(204)) as received:
        outcome = HttpReceiver(anywhere=True).post(received.url, HEADERS, '{"a":1}')
    path, headers, body = received.messages[0]
    assert (outcome.status, outcome.is_success, path, body) == (204, True, "/hook", b'{"a":1}')
    assert (headers["webhook-id"], headers["Content-Type"]) == ("1", "application/json")


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("120", 120.0),
        ("-1", None),
        ("1e9", None),
        ("soon", None),
        ("Wed, 21 Oct 2015 07:28:00 GMT", 0.0),
        ("Wed, 21 Oct 2015 07:28:00", 0.0),
        ("Fri, 32 Oct 2015 07:28:00 GMT", None),
        (f"Fri, 30 Oct {'9' * 30} 07:28:00 GMT", None),
    ],
)
def test_d4_a_receiver_may_ask_for_time(text: str, seconds: float | None) -> None:
    with receiving(saying(429, Retry_After=text)) as received:
        assert post(received.url).retry_after == seconds


def test_d4_a_receiver_may_ask_for_time_until_a_date() -> None:
    at = formatdate(time.time() + 3600, usegmt=True)
    with receiving(saying(429, Retry_After=at)) as received:
        assert 3590 < (post(received.url).retry_after or 0) <= 3600


def test_d4_a_receiver_that_hangs_is_left() -> None:
    over = threading.Event()

    def hang(_request: BaseHTTPRequestHandler) -> None:
        over.wait(10)

    with receiving(hang) as received:
        started = time.monotonic()
        assert post(received.url, total=0.5).error == "timeout"
        assert time.monotonic() - started < 2
        over.set()


def test_d4_a_receiver_that_trickles_is_left() -> None:
    def trickle(request: BaseHTTPRequestHandler) -> None:
        for letter in b"HTTP/1.1 200 OK\r\nX: " + b"y" * 100:
            request.wfile.write(bytes([letter]))
            time.sleep(0.05)

    with receiving(trickle) as received:
        started = time.monotonic()
        assert post(received.url, total=0.5).error == "timeout"
        assert time.monotonic() - started < 2


def test_d4_of_a_body_of_ten_gigabytes_64_kib_are_read() -> None:
    sent = [0]

    def pour(request: BaseHTTPRequestHandler) -> None:
        request.send_response(200)
        request.send_header("Content-Length", str(10 * 1024**3))
        request.end_headers()
        while True:
            sent[0] += request.wfile.write(b"x" * READ)

    with receiving(pour) as received:
        started = time.monotonic()
        outcome = post(received.url)
    assert (outcome.status, outcome.error) == (200, None)
    assert time.monotonic() - started < 3
    assert sent[0] < 200 * READ


@pytest.mark.parametrize("is_cut", [True, False])
@pytest.mark.parametrize("status", [200, 410])
def test_d4_what_a_receiver_answered_counts_whatever_becomes_of_the_body(status: int, is_cut: bool) -> None:
    over = threading.Event()

    def begin(request: BaseHTTPRequestHandler) -> None:
        request.send_response(status)
        request.send_header("Content-Length", "10")
        request.end_headers()
        request.wfile.write(b"x")
        over.wait(0 if is_cut else 10)

    with receiving(begin) as received:
        outcome = post(received.url, total=0.5)
        over.set()
    assert (outcome.status, outcome.error, outcome.is_success) == (status, None, status == 200)


def test_d4_a_receiver_that_is_away_is_a_failure() -> None:
    assert post("http://127.0.0.1:1/").error == "connection-failed"


@pytest.mark.parametrize(
    ("named", "is_trusted", "outcome"),
    [(NAME, True, (204, None)), (f"not.{NAME}", True, (None, REFUSED)), (NAME, False, (None, REFUSED))],
)
def test_a_receiver_is_who_its_certificate_names_though_an_address_is_connected_to(
    named: str, is_trusted: bool, outcome: tuple[int | None, str | None]
) -> None:
    authority = Authority()
    tls = authority.trusting() if is_trusted else None
    with receiving(saying(204), tls=authority.serving(named)) as received:
        receiver = HttpReceiver(anywhere=True, resolver=lambda _host, _port: ["127.0.0.1"], tls=tls)
        said = receiver.post(f"https://{NAME}:{received.port}/hook", HEADERS, "{}")
    assert (said.status, said.error) == outcome
    assert [headers["Host"] for _, headers, _ in received.messages] == [f"{NAME}:{received.port}"] * said.is_success


def test_a_name_with_a_dot_at_its_end_is_the_name_in_the_certificate() -> None:
    authority = Authority()
    with receiving(saying(204), tls=authority.serving(NAME)) as received:
        receiver = HttpReceiver(anywhere=True, resolver=lambda *_: ["127.0.0.1"], tls=authority.trusting())
        assert receiver.post(f"https://{NAME}.:{received.port}/hook", HEADERS, "{}").status == 204
    assert received.messages[0][1]["Host"] == f"{NAME}.:{received.port}"


@contextmanager
def silent(host: str, port: int) -> Iterator[None]:
    """Whoever wants to connect there hears nothing: the queue of those who wait to be let in is full."""
    with ExitStack() as held:
        held.enter_context(socket.create_server((host, port), backlog=0))
        for _ in range(4):
            waiting = held.enter_context(socket.socket())
            waiting.setblocking(False)
            waiting.connect_ex((host, port))
        yield


@pytest.mark.parametrize("other", ["127.0.0.2", "::1", "127.0.0.3"])
def test_where_the_first_address_cannot_be_connected_to_the_next_is_tried(other: str) -> None:
    with receiving(saying(204)) as received, silent("127.0.0.3", received.port):
        receiver = HttpReceiver(anywhere=True, resolver=lambda *_: [other, "127.0.0.1"], total=2.0)
        started = time.monotonic()
        assert receiver.post(f"http://{NAME}:{received.port}/hook", HEADERS, "{}").status == 204
    assert time.monotonic() - started < 2 + 0.5
    assert len(received.messages) == 1


def test_what_one_address_was_sent_is_sent_to_no_other() -> None:
    def hang_up(request: BaseHTTPRequestHandler) -> None:
        request.connection.shutdown(socket.SHUT_RDWR)

    with receiving(hang_up) as received:
        receiver = HttpReceiver(anywhere=True, resolver=lambda *_: ["127.0.0.1"] * 3, total=3.0)
        assert receiver.post(f"http://{NAME}:{received.port}/hook", HEADERS, "{}").error == "protocol-error"
    assert len(received.messages) == 1


def test_d4_addresses_that_are_all_silent_have_the_time_of_one_attempt() -> None:
    port = free_port()
    with silent("127.0.0.3", port):
        receiver = HttpReceiver(anywhere=True, resolver=lambda *_: ["127.0.0.3"] * 20, total=1.0)
        started = time.monotonic()
        assert receiver.post(f"http://{NAME}:{port}/", HEADERS, "{}").error == "timeout"
    assert time.monotonic() - started < 2


def test_d4_what_is_not_http_is_a_failure() -> None:
    def speak_mail(request: BaseHTTPRequestHandler) -> None:
        request.wfile.write(b"220 mail ready\r\n")

    with receiving(speak_mail) as received:
        assert post(received.url).error == "protocol-error"
