"""A client that writes its own bytes to the gateway, or goes round it: nothing opens that a key does not open."""

import json
import socket
import time
from base64 import urlsafe_b64encode
from collections.abc import Callable
from select import select
from urllib.parse import urlsplit
from uuid import uuid4

import httpx
import jwt
import pytest

from shared.identity import HEADER, Signer, new_key_pair
from shared.principal import Principal
from tests.world import World

ADMIN = Principal(role="admin", name="Mallory", account=uuid4(), key="0000000000")
SERVICES = ("catalog", "entitlements", "pricing", "keys")
REFUSED = {400, 404, 405}
ENOUGH = 1_000_000  # bytes of a body of which 64 KiB are taken
END = b"\r\n\r\n"
HOST = b"Host: tickgate\r\n"
LAST = b"Connection: close\r\n\r\n"
NO_KEY = b"X-Nothing: " + b"k" * 69 + b"\r\n"  # as long as the line of a key, which may take its place
SMUGGLED = b"GET /internal/accounts HTTP/1.1\r\nHost: keys\r\n" + NO_KEY + b"\r\n"


def exchange(world: World, sent: bytes) -> bytes:
    """All that the gateway says to these bytes until it closes, or has no more to say."""
    url = urlsplit(world.platform.url)
    with socket.create_connection((str(url.hostname), int(url.port or 0)), timeout=1) as connection:
        said = b""
        try:
            connection.sendall(sent)
            while piece := connection.recv(65536):
                said += piece
                connection.settimeout(0.3)
        except (TimeoutError, ConnectionError):
            pass
        return said


def statuses(said: bytes) -> list[int]:
    """The status of every answer in there."""
    return [int(part[:3]) for part in said.split(b"HTTP/1.1 ")[1:]]


def are_refusals(said: bytes, *more: int) -> bool:
    """Whether something was answered, and nothing but refusals."""
    answered = set(statuses(said))
    return answered != set() and answered <= REFUSED | set(more)


def serves(world: World) -> bool:
    return httpx.get(f"{world.platform.url}/v1/datasets").status_code == 200


def token(world: World, audience: str) -> str:
    """What the gateway itself would sign for an admin."""
    return Signer(world.env["TICKGATE_IDENTITY_PRIVATE_KEY"], issuer="gateway").token(ADMIN, audience)


@pytest.mark.parametrize(
    "lines",
    [
        "X-Tickgate-Identity: {token}",
        "x-tickgate-identity: {token}",
        "X-TICKGATE-IDENTITY: {token}\r\nX-Tickgate-Identity: {token}",
        "X_Tickgate_Identity: {token}",
        "X-Tickgate_Identity: {token}",
        "X-Tickgate-Identity: {token}\r\nConnection: X-Tickgate-Identity",
        "Connection: keep-alive, X-Request-Id, Accept",
        "Connection: close, X-Tickgate-Identity\r\nX-Tickgate-Identity: {token}",
        "X-Tickgate-Role: admin\r\nX-Role: admin\r\nRole: admin",
        "X-Account: {account}\r\nX-Tickgate-Account: {account}\r\nX-User-Id: {account}",
        "X-Forwarded-User: admin\r\nX-Remote-User: admin\r\nRemote-User: admin",
        "Authorization: Bearer {token}",
        "X-Original-URL: /internal/accounts\r\nX-Rewrite-URL: /internal/accounts",
        "X-HTTP-Method-Override: DELETE\r\nX-Method-Override: DELETE",
        "X-Forwarded-Host: keys\r\nX-Forwarded-Prefix: /internal\r\nForwarded: host=keys",
        "Upgrade: h2c\r\nConnection: Upgrade, HTTP2-Settings\r\nHTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA",
    ],
)
def test_i1_what_a_client_says_of_itself_is_not_believed(hostile_world: World, lines: str) -> None:
    told = lines.format(token=token(hostile_world, "keys"), account=ADMIN.account).encode()
    key = f"X-API-Key: {hostile_world.keys['quant']}\r\n".encode()
    asked = b"GET /v1/me HTTP/1.1\r\n" + HOST
    said = exchange(hostile_world, asked + key + told + END)
    assert statuses(said) == [200]
    with hostile_world.person("quant") as quant:
        assert json.loads(said.partition(END)[2]) == quant.get("/v1/me").json()
    assert statuses(exchange(hostile_world, asked + told + END)) == [401]
    admin = b"GET /v1/api-keys HTTP/1.1\r\n" + HOST + key + told + END
    assert statuses(exchange(hostile_world, admin)) == [403]


@pytest.mark.parametrize(
    "target",
    [
        "//v1/datasets",
        "/v1//datasets",
        "/v1/./datasets",
        "/v1/datasets/",
        "/v1/datasets/..;/me",
        "/..;/internal/accounts",
        "/v1/datasets/../../internal/accounts",
        "/%2e%2e/internal/accounts",
        "/v1/%2e%2e/internal/accounts",
        "/v1/datasets%2f..%2f..%2finternal%2faccounts",
        "/v1/datasets/%2e%2e%5c%2e%2e%5cinternal",
        "/v1/datasets/BTC%00",
        "/v1/datasets/BTC%0d%0aX-Injected:1",
        "/v1/datasets/BTC\\..\\me",
        "/v1/datasets;x=1",
        "/v1/data%73ets",
        "/v1/datasets\t",
        "/V1/datasets",
        "/internal/accounts",
        "/internal/access",
        "/Internal/accounts",
        "/openapi.json%23",
        "/docs/../openapi.json",
        "/docs/..%2f..%2fgateway%2fmain.py",
        "http://keys:8000/internal/accounts",
        "http://127.0.0.1/internal/accounts",
        "https://user:pass@keys/internal/accounts",
        "http:///internal/accounts",
        "keys:8000",
        "*",
        "internal/accounts",
        "/v1/datasets/" + "x" * 60_000,
        "/v1/datasets/\xff",
    ],
    ids=lambda target: target[:40].encode("unicode_escape").decode(),
)
def test_i3_path_tricks_lead_nowhere(hostile_world: World, target: str) -> None:
    key = f"X-API-Key: {hostile_world.keys['admin']}\r\n".encode()
    for method in (b"GET ", b"POST "):
        said = exchange(hostile_world, method + target.encode("latin-1") + b" HTTP/1.1\r\n" + HOST + key + LAST)
        assert are_refusals(said), said[:300]
        assert b"X-Injected" not in said.partition(END)[0]
    assert serves(hostile_world)


HEAD = HOST + NO_KEY + b"Content-Type: application/json\r\n"
POST = b"POST /v1/access-requests HTTP/1.1\r\n" + HEAD
LENGTH = b"Content-Length: %d\r\n" % len(SMUGGLED)
CHUNKED = b"Transfer-Encoding: chunked\r\n"
FRAMING = {
    "content-length and chunked": POST + b"Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + SMUGGLED,
    "chunked and content-length": POST + CHUNKED + LENGTH + b"\r\n0\r\n\r\n" + SMUGGLED,
    "two lengths": POST + b"Content-Length: 0\r\n" + LENGTH + b"\r\n" + SMUGGLED,
    "two equal lengths": POST + b"Content-Length: 2\r\nContent-Length: 2\r\n\r\n{}",
    "a list of lengths": POST + b"Content-Length: 0, %d\r\n\r\n" % len(SMUGGLED) + SMUGGLED,
    "negative length": POST + b"Content-Length: -1\r\n\r\n" + SMUGGLED,
    "signed length": POST + b"Content-Length: +2\r\n\r\n{}",
    "hex length": POST + b"Content-Length: 0x2\r\n\r\n{}",
    "huge length": POST + b"Content-Length: 99999999999999999999999\r\n\r\n{}",
    "space before colon": POST + b"Content-Length : 2\r\n\r\n{}",
    "chunked twice": POST + b"Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n0\r\n\r\n" + SMUGGLED,
    "xchunked": POST + b"Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n" + SMUGGLED,
    "chunked garbage": POST + CHUNKED + b"\r\nzz\r\nabc\r\n0\r\n\r\n",
    "chunk too long": POST + CHUNKED + b"\r\nffffffffffffffffff\r\nabc\r\n",
    "chunk without its end": POST + CHUNKED + b"\r\n2\r\n{}0\r\n\r\n" + SMUGGLED,
    "folded header": b"GET /v1/me HTTP/1.1\r\n" + HEAD + b"X-API-Key: a\r\n b\r\n\r\n",
    "bare line feeds": b"GET /v1/me HTTP/1.1\nHost: x\nX-API-Key: a\n\n",
    "bare carriage return": b"GET /v1/me HTTP/1.1\r\n" + HEAD + b"X-A: b\rX-API-Key: c\r\n\r\n",
    "nul in a header": b"GET /v1/me HTTP/1.1\r\n" + HEAD + b"X-A: b\0c\r\n\r\n",
    "no header name": b"GET /v1/me HTTP/1.1\r\n" + HEAD + b": b\r\n\r\n",
    "http 0.9": b"GET /v1/datasets\r\n\r\n",
    "http 2 preface": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "http 3.7": b"GET /v1/me HTTP/3.7\r\n" + HEAD + END[2:],
    "tab for space": b"GET\t/v1/datasets\tHTTP/1.1\r\n" + HEAD + END[2:],
    "unknown method": b"STEAL /v1/datasets HTTP/1.1\r\n" + HEAD + END[2:],
    "method in lower case": b"get /v1/datasets HTTP/1.1\r\n" + HEAD + END[2:],
    "connect": b"CONNECT keys:8000 HTTP/1.1\r\n" + HEAD + END[2:],
    "trace": b"TRACE /v1/datasets HTTP/1.1\r\n" + HEAD + END[2:],
    "huge header line": b"GET /v1/me HTTP/1.1\r\n" + HEAD + b"X-A: " + b"b" * 300_000 + END,
    "huge key": b"GET /v1/me HTTP/1.1\r\n" + HEAD + b"X-API-Key: " + b"b" * 30_000 + END,
    "200 headers": POST + b"".join(b"X-%d: b\r\n" % n for n in range(200)) + END[2:],
    "a request for a body": POST + LENGTH + b"\r\n" + SMUGGLED,
    "a request in a chunk": POST + CHUNKED + b"\r\n%x\r\n" % len(SMUGGLED) + SMUGGLED + b"\r\n0\r\n\r\n",
    "a header in a trailer": POST + CHUNKED + b"\r\n2\r\n{}\r\n0\r\nContent-Length: 49\r\n\r\n" + SMUGGLED,
    "an extension of a chunk": POST + CHUNKED + b"\r\n02;a=b\r\n{}\r\n000\r\n\r\n" + SMUGGLED,
    "another request behind": POST + b"Content-Length: 2\r\n\r\n{}" + SMUGGLED,
    "another behind one for nothing": b"GET /v1/nothing HTTP/1.1\r\n" + HEAD + END[2:] + SMUGGLED,
    "a body of a question": b"GET /v1/api-keys HTTP/1.1\r\n" + HEAD + LENGTH + b"\r\n" + SMUGGLED,
    "tls": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    "noise": bytes(range(256)) * 4,
}


@pytest.mark.parametrize("role", ["anyone", "admin"])
@pytest.mark.parametrize("sent", FRAMING.values(), ids=FRAMING)
def test_i3_framing_tricks_lead_nowhere(hostile_world: World, sent: bytes, role: str) -> None:
    """An admin's key opens the way to the services, so that what is behind the gateway reads these bodies too."""
    key = f"X-API-Key: {hostile_world.keys[role]}\r\n".encode() if role in hostile_world.keys else NO_KEY
    assert len(key) == len(NO_KEY)
    said = exchange(hostile_world, sent.replace(NO_KEY, key))
    assert are_refusals(said, 401, 413, 415, 422, 431), said[:300]
    assert len(statuses(said)) <= 2, said
    assert said.count(b"application/problem+json") == len(statuses(said))
    assert serves(hostile_world)


def test_i3_blank_lines_are_no_request(hostile_world: World) -> None:
    assert exchange(hostile_world, b"\r\n\r\n\r\n") == b""
    assert serves(hostile_world)


def test_b1_a_body_without_an_end_is_refused_while_it_comes(hostile_world: World) -> None:
    url = urlsplit(hostile_world.platform.url)
    key = f"X-API-Key: {hostile_world.keys['admin']}\r\n".encode()
    chunk = b"4000\r\n" + b"x" * 0x4000 + b"\r\n"
    with socket.create_connection((str(url.hostname), int(url.port or 0)), timeout=5) as connection:
        connection.sendall(POST.replace(NO_KEY, key) + CHUNKED + b"\r\n")
        taken = 0
        while taken < ENOUGH and not select([connection], [], [], 0.05)[0]:
            connection.sendall(chunk)
            taken += len(chunk)
        assert taken < ENOUGH
        assert statuses(connection.recv(65536)) == [413]
    assert serves(hostile_world)


def test_i3_a_huge_head_is_not_even_looked_at(hostile_world: World) -> None:
    asked = b"GET /v1/me HTTP/1.1\r\n" + HOST + b"X-A: " + b"b" * 66_000 + END
    said = exchange(hostile_world, asked)
    assert statuses(said) == [431]
    assert json.loads(said.partition(END)[2])["code"] == "head-too-large"


@pytest.mark.parametrize(
    "host", ["keys:8000", "entitlements", "", "a b", "127.0.0.1\r\nHost: keys", "x" * 1000, "../keys"]
)
def test_i3_the_host_decides_nothing(hostile_world: World, host: str) -> None:
    line = f"Host: {host}\r\nConnection: close\r\n\r\n".encode()
    assert are_refusals(exchange(hostile_world, b"GET /internal/accounts HTTP/1.1\r\n" + line))
    said = exchange(hostile_world, b"GET /v1/datasets HTTP/1.1\r\n" + line)
    assert statuses(said) in ([200], [400])
    assert host != "keys:8000" or b'"BTC"' in said


def test_i3_an_address_that_a_client_claims_is_not_believed(hostile_world: World) -> None:
    def left(claimed: str) -> int:
        answer = httpx.get(f"{hostile_world.platform.url}/v1/datasets", headers={"X-Forwarded-For": claimed})
        return int(answer.headers["ratelimit"].partition(";r=")[2].partition(";")[0])

    first = left("192.0.2.1")
    assert left("192.0.2.2") != first


def forged(algorithm: str, claims: dict[str, object], public: str) -> str:
    """A token as PyJWT refuses to make it: HS256 with the public key for a secret, or none at all."""
    parts = [
        urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=") for part in ({"alg": algorithm, "typ": "JWT"}, claims)
    ]
    text = b".".join(parts)
    signature = b""
    if algorithm == "HS256":
        algorithms = jwt.algorithms.HMACAlgorithm(jwt.algorithms.HMACAlgorithm.SHA256)
        signature = urlsafe_b64encode(algorithms.sign(text, public.encode())).rstrip(b"=")
    return (text + b"." + signature).decode()


def made(world: World, audience: str, kind: str) -> str | None:
    """A token that must open nothing."""
    private = world.env["TICKGATE_IDENTITY_PRIVATE_KEY"]
    public = json.loads(world.env["TICKGATE_IDENTITY_PUBLIC_KEYS"])["gateway"][0]
    now = int(time.time())
    claims = {
        "iss": "gateway",
        "aud": audience,
        "sub": str(ADMIN.account),
        "iat": now,
        "exp": now + 60,
        "role": "admin",
    }
    claims |= {"name": "Mallory", "key": "0000000000"}
    makers: dict[str, Callable[[], str | None]] = {
        "none": lambda: None,
        "noise": lambda: "abc.def.ghi",
        "another key": lambda: Signer(new_key_pair()[0], issuer="gateway").token(ADMIN, audience),
        "HS256 with the public key": lambda: forged("HS256", claims, public),
        "alg none": lambda: forged("none", claims, public),
        "wrong audience": lambda: Signer(private, issuer="gateway").token(ADMIN, "somewhere"),
        "another service's": lambda: Signer(private, issuer="gateway").token(ADMIN, _other(audience)),
        "expired": lambda: jwt.encode({**claims, "iat": now - 90, "exp": now - 30}, private, algorithm="EdDSA"),
        "unknown issuer": lambda: Signer(private, issuer="catalog").token(ADMIN, audience),
        "a neighbour's": lambda: Signer(private, issuer="pricing").token(ADMIN, audience),
    }
    return makers[kind]()


def _other(audience: str) -> str:
    return next(name for name in SERVICES if name != audience)


KINDS = ("none", "noise", "another key", "HS256 with the public key", "alg none", "wrong audience")
MORE_KINDS = ("another service's", "expired", "unknown issuer", "a neighbour's")
PATHS = {"catalog": "/v1/datasets", "entitlements": "/v1/grants", "pricing": "/v1/jobs", "keys": "/v1/api-keys"}


@pytest.mark.parametrize("service", SERVICES)
@pytest.mark.parametrize("kind", KINDS + MORE_KINDS)
def test_i2_a_service_called_directly_believes_the_gateway_only(hostile_world: World, service: str, kind: str) -> None:
    process = hostile_world.platform.processes["gateway"]
    url = process.env[f"TICKGATE_{service.upper()}_URL"]
    good = {HEADER: token(hostile_world, service)}
    assert (
        httpx.get(url + PATHS[service], headers=good).status_code == 200
    )  # the control: only the token is wrong below
    value = made(hostile_world, service, kind)
    for path in (PATHS[service], "/openapi.json", "/nowhere"):
        answer = httpx.get(url + path, headers={HEADER: value} if value else {})
        assert (answer.status_code, answer.json()["code"]) == (401, "unauthenticated")
    key = {"X-API-Key": hostile_world.keys["admin"]}
    assert httpx.get(url + PATHS[service], headers=key).status_code == 401
