"""What happens to a request that was admitted, and when its service fails."""

import asyncio
import http.client
from collections.abc import Iterator
from contextlib import closing
from urllib.parse import urlsplit

import httpx
import pytest
from sqlalchemy.exc import TimeoutError as PoolTimeout
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, StreamingResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from gateway import forward
from gateway.door import Door
from gateway.forward import Forwarder
from gateway.guard import Guard
from gateway.headers import SafeHeaders
from gateway.keys.secrets import KeySecrets
from gateway.limits import Limits
from gateway.matcher import Matcher
from gateway.routes import OPEN, Route
from gateway.surface import Service
from shared.coherence.memory import Memory
from shared.correlation import Correlation
from shared.database import Database
from shared.identity import Signer, Verifier
from shared.upstream import fetch, open_upstream
from tests.gateway.conftest import PEPPER, Running
from tests.serving import listening

LIMIT = 64 * 1024


async def echo(scope: Scope, receive: Receive, send: Send) -> None:
    """Tells what it was told."""
    request = Request(scope, receive)
    body = await request.body()
    told = {"headers": dict(request.headers), "length": len(body), "path": scope["path"], "method": scope["method"]}
    await JSONResponse({**told, "query": scope["query_string"].decode()})(scope, receive, send)


async def broken(scope: Scope, receive: Receive, send: Send) -> None:
    raise RuntimeError("secret detail")


async def busy(scope: Scope, receive: Receive, send: Send) -> None:
    raise PoolTimeout


async def silent(scope: Scope, receive: Receive, send: Send) -> None:
    return


async def stuck(scope: Scope, receive: Receive, send: Send) -> None:
    await asyncio.sleep(60)


async def halfway(scope: Scope, receive: Receive, send: Send) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"10")]})
    await send({"type": "http.response.body", "body": b"half", "more_body": True})
    raise RuntimeError


async def confessing(scope: Scope, receive: Receive, send: Send) -> None:
    """As FastAPI does: a whole 500, and then the error again."""
    await JSONResponse({"code": "internal-error"}, 500)(scope, receive, send)
    raise RuntimeError


async def distrustful(scope: Scope, receive: Receive, send: Send) -> None:
    """As `IdentityGuard` does, to whom our token means nothing."""
    await JSONResponse({"code": "unauthenticated"}, 401)(scope, receive, send)


async def streaming(scope: Scope, receive: Receive, send: Send) -> None:
    async def pieces() -> object:
        for number in range(1000):
            yield f"{number}\n".encode() * 100

    await StreamingResponse(pieces(), headers={"X-Tickgate-Inner": "1"})(scope, receive, send)  # type: ignore[arg-type]


APPS = {app.__name__: app for app in (echo, broken, busy, silent, stuck, halfway, confessing, distrustful, streaming)}
ROUTES = tuple(Route(method, f"/v1/{name}", name, OPEN) for name in APPS for method in ("GET", "POST"))


@pytest.fixture(scope="module")
def url(key_pair: tuple[str, str]) -> Iterator[str]:
    """A door before services that behave in every way."""
    services = {name: Service(name, "", app) for name, app in APPS.items()}
    forwarder = Forwarder(services, Signer(key_pair[0], issuer="gateway"), {route: {"q": False} for route in ROUTES})
    with closing(Database("postgresql://nobody@127.0.0.1:9/none")) as database:
        guard = Guard(database, KeySecrets(PEPPER), Memory())
        app = Starlette(middleware=[Middleware(SafeHeaders), Middleware(Correlation, name="gateway")])
        app.router.default = Door(pages={}, matcher=Matcher(ROUTES), guard=guard, forwarder=forwarder, limits=Limits())
        with listening(app) as url:
            yield url


def test_the_service_gets_the_request_under_a_proven_identity(url: str, key_pair: tuple[str, str]) -> None:
    headers = {"X-Tickgate-Identity": "forged", "X-API-Key": "secret", "X-Request-Id": "my-id", "Cookie": "a=b"}
    answer = httpx.post(url + "/v1/echo?q=a%20b", json="abc", headers=headers)
    told = answer.json()
    assert (told["path"], told["method"], told["query"], told["length"]) == ("/v1/echo", "POST", "q=a%20b", 5)
    token = told["headers"].pop("x-tickgate-identity")
    issuer, principal = Verifier({"gateway": [key_pair[1]]}, audience="echo").verify(token)
    assert (issuer, principal.role) == ("gateway", "anonymous")
    assert told["headers"].pop("x-request-id") == "my-id" == answer.headers["x-request-id"]
    assert set(told["headers"]) <= {"accept", "accept-encoding", "content-type"}


def test_a_service_in_another_process_is_told_the_same(url: str) -> None:
    async def ask(far: str) -> dict[str, str]:
        async with open_upstream(far) as app:
            answer = await fetch(app, "GET", "/v1/echo", headers={"x-request-id": "my-id"})
            told: dict[str, str] = answer.json()["headers"]
            return told

    with listening(_alone(echo)) as far:
        told = asyncio.run(ask(far))
    assert {name for name in told if name not in ("host", "content-length")} == {"x-request-id"}


def _alone(service: ASGIApp) -> Starlette:
    app = Starlette()
    app.router.default = service
    return app


def test_every_answer_is_safe_and_carries_its_id(url: str) -> None:
    for path in ("/v1/echo", "/v1/nothing", "/v1/broken", "/v1/silent"):
        answer = httpx.get(url + path, headers={"X-Request-Id": "not\tsane"})
        assert len(answer.headers["x-request-id"]) == 32
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["referrer-policy"] == "no-referrer"


@pytest.mark.parametrize(("size", "status"), [(LIMIT, 200), (LIMIT + 1, 413)])
@pytest.mark.parametrize("chunked", [False, True])
def test_a_body_over_the_limit_is_refused(url: str, size: int, status: int, chunked: bool) -> None:
    body = b'"' + b"x" * (size - 2) + b'"'
    content = iter([body[n : n + 1000] for n in range(0, size, 1000)]) if chunked else body
    answer = httpx.post(url + "/v1/echo", content=content, headers={"Content-Type": "application/json"})
    assert answer.status_code == status
    assert answer.json().get("code") == (None if status == 200 else "body-too-large")


def test_a_huge_body_is_refused_before_it_is_sent(url: str) -> None:
    with closing(http.client.HTTPConnection(urlsplit(url).netloc, timeout=5)) as connection:
        connection.putrequest("POST", "/v1/echo")
        connection.putheader("Content-Length", str(10**12))
        connection.endheaders()
        assert connection.getresponse().status == 413


def test_an_unknown_query_parameter_is_named(url: str) -> None:
    answer = httpx.get(url + "/v1/echo?q=1&other=2")
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid-input")
    assert answer.json()["errors"] == [{"in": "query", "pointer": "/other", "message": "unknown; taken are: q"}]


def test_a_key_is_no_idempotency_key(url: str) -> None:
    key = KeySecrets(PEPPER).mint().text
    answer = httpx.post(url + "/v1/echo", headers={"Idempotency-Key": f"my {key}"})
    assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (422, "/Idempotency-Key")
    assert key not in answer.text


@pytest.mark.parametrize(
    ("path", "status", "code"),
    [
        ("/v1/broken", 500, "internal-error"),
        ("/v1/silent", 500, "internal-error"),
        ("/v1/busy", 503, "temporarily-unavailable"),
        ("/v1/confessing", 500, "internal-error"),
        ("/v1/distrustful", 503, "temporarily-unavailable"),
    ],
)
def test_a_service_that_fails_is_answered_for(url: str, path: str, status: int, code: str) -> None:
    answer = httpx.get(url + path)
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert "secret" not in answer.text


def test_a_service_that_does_not_answer_is_given_up(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(forward, "PATIENCE", 0.1)
    assert httpx.get(url + "/v1/stuck").status_code == 503


def test_half_an_answer_does_not_look_whole(url: str) -> None:
    with pytest.raises(httpx.RemoteProtocolError):
        httpx.get(url + "/v1/halfway")


def test_an_answer_streams_through(url: str) -> None:
    answer = httpx.get(url + "/v1/streaming")
    assert answer.content == b"".join(f"{number}\n".encode() * 100 for number in range(1000))
    assert "x-tickgate-inner" not in answer.headers


@pytest.mark.parametrize("path", ["/v1/echo", "/v1/streaming"])
def test_head_has_the_headers_of_get(url: str, path: str) -> None:
    head, get = httpx.head(url + path), httpx.get(url + path)
    assert (head.status_code, head.content) == (200, b"")
    assert {name for name in get.headers if name != "transfer-encoding"} == {
        name for name in head.headers if name != "transfer-encoding"
    }


@pytest.mark.parametrize(
    ("target", "status"),
    [
        ("/v1/datasets", 200),
        ("/v1/datasets/../me", 404),
        ("/v1/datasets/%2e%2e/me", 404),
        ("//v1/datasets", 404),
        ("/v1//datasets", 404),
        ("/v1/datasets/", 404),
        ("/internal/datasets", 404),
        ("/v1/../internal/datasets", 404),
        ("/openapi.json/", 404),
        ("/docs/", 404),
        ("/docs/../gateway/main.py", 404),
        ("/docs/%2e%2e/main.py", 404),
        ("/docs/README.md", 404),
        ("/%2fv1/datasets", 404),
        ("/v1/datasets%3Flimit=1", 404),
    ],
)
def test_hostile_paths_lead_nowhere(gateway: Running, target: str, status: int) -> None:
    with closing(http.client.HTTPConnection(urlsplit(gateway.url).netloc, timeout=5)) as connection:
        connection.request("GET", target)
        assert connection.getresponse().status == status


def test_a_wrong_method_is_told_the_right_ones(gateway: Running) -> None:
    for path, allow in (("/v1/datasets", "GET, HEAD, POST"), ("/docs", "GET, HEAD"), ("/livez", "GET, HEAD")):
        answer = gateway.call("OPTIONS", path)
        assert (answer.status_code, answer.headers["allow"]) == (405, allow)
        assert answer.headers["content-type"] == "application/problem+json"
