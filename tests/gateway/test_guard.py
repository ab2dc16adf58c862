"""Whose key opens which row."""

import time
from contextlib import closing
from datetime import UTC, datetime, timedelta

import httpx
import pytest
from sqlalchemy import event, update
from sqlalchemy.engine import Engine
from sqlmodel import col

from gateway.keys.entities import ApiKey
from gateway.keys.secrets import KeySecrets
from gateway.keys.service import KeyService
from gateway.routes import Route
from shared.clock import DatabaseClock
from shared.database import Database
from tests.gateway.conftest import CLI, NEAR_ROUTES, PEPPER, Running, by_itself, key_service

PROTECTED = [route for route in NEAR_ROUTES if not route.is_open]
UNKNOWN = KeySecrets(PEPPER).mint().text


def address(route: Route) -> str:
    return route.path.replace("{symbol}", "NONE").replace("{frequency}", "1h").replace("{id}", "nosuchkey0")


@pytest.mark.parametrize("route", PROTECTED, ids=lambda r: f"{r.method} {r.path}")
@pytest.mark.parametrize("role", ["quant", "ops", "admin"])
def test_a_role_passes_where_the_row_admits_it(gateway: Running, route: Route, role: str) -> None:
    answer = gateway.call(route.method, address(route), role=role)
    if role in route.roles:
        assert answer.status_code not in (401, 403)
    else:
        assert (answer.status_code, answer.json()["code"]) == (403, "role-not-allowed")
        assert answer.json()["roles"] == list(route.roles)


@pytest.mark.parametrize("route", PROTECTED, ids=lambda r: f"{r.method} {r.path}")
def test_without_a_key_nothing_passes(gateway: Running, route: Route) -> None:
    answer = gateway.call(route.method, address(route))
    assert (answer.status_code, answer.json()["code"]) == (401, "missing-key")
    assert answer.headers["www-authenticate"] == "ApiKey"
    assert "X-API-Key" in answer.headers["vary"]


@pytest.fixture(scope="module")
def bad_keys(gateway: Running) -> dict[str, list[tuple[str, str]]]:
    """Headers that hold no usable key."""
    good = gateway.keys["quant"]
    with key_service(gateway.stores) as service:
        revoked, expired = (service.create(name=name, role="quant", by=CLI) for name in ("Ada", "Bob"))
        service.revoke(revoked.id, CLI)
    with closing(Database(gateway.stores.app_url("gateway"))) as database, database.transaction() as session:
        past = datetime.now(UTC) - timedelta(milliseconds=1)
        session.execute(update(ApiKey).where(col(ApiKey.id) == expired.id).values(expires_at=past))
        strange = KeyService(session, DatabaseClock(), KeySecrets("a pepper that went away", version=7))
        unpeppered = strange.create(name="Cleo", role="quant", by=CLI)
        broken = strange.create(name="Dan", role="quant", by=CLI)
        session.execute(update(ApiKey).where(col(ApiKey.id) == broken.id).values(digest="$tg-hmac$1$rubbish"))
    return {
        "malformed": [("X-API-Key", "hello")],
        "empty": [("X-API-Key", "")],
        "bytes": [("X-API-Key", "ÿ")],
        "checksum": [("X-API-Key", good[:-1] + ("0" if good[-1] != "0" else "1"))],
        "unknown": [("X-API-Key", UNKNOWN)],
        "revoked": [("X-API-Key", revoked.key)],
        "expired": [("X-API-Key", expired.key)],
        "pepper": [("X-API-Key", unpeppered.key)],
        "digest": [("X-API-Key", broken.key)],
        "two": [("X-API-Key", good), ("x-api-key", good)],
        "joined": [("X-API-Key", f"{good}, {good}")],
    }


@pytest.mark.parametrize(
    "kind",
    ["malformed", "empty", "bytes", "checksum", "unknown", "revoked", "expired", "pepper", "digest", "two", "joined"],
)
def test_a_bad_key_is_refused_in_one_way(
    gateway: Running, bad_keys: dict[str, list[tuple[str, str]]], kind: str
) -> None:
    headers = [(name.encode(), value.encode("latin-1")) for name, value in bad_keys[kind]]
    answer = httpx.get(gateway.url + "/v1/me", headers=headers)
    body = answer.json()
    body.pop("request_id")
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"] == "ApiKey"
    assert body == {
        "type": "urn:tickgate:problem:invalid-key",
        "title": "Invalid key",
        "status": 401,
        "detail": "The API key is not valid; ask an admin for a new one if it ever was.",
        "instance": "/v1/me",
        "code": "invalid-key",
    }


@pytest.mark.undisturbed
def test_k4_a_key_that_is_remembered_ends_when_it_says(gateway: Running) -> None:
    soon = datetime.now(UTC) + timedelta(seconds=3)
    with key_service(gateway.stores) as service:
        made = service.create(name="Ada, for three seconds", role="quant", expires_at=soon, by=CLI)
    end, began, told = soon.timestamp(), 0.0, []
    with httpx.Client(base_url=gateway.url, headers={"X-API-Key": made.key}) as client:
        while began < end + 0.3:
            began = time.time()
            status = client.get("/v1/me").status_code
            told.append((began, time.time(), status))
            time.sleep(0.02 if abs(end - began) > 0.1 else 0)
    assert {status for _, answered, status in told if answered < end} == {200}
    assert {status for began, _, status in told if began >= end} == {401}


def test_a_key_counts_in_its_header_only(gateway: Running) -> None:
    key = gateway.keys["quant"]
    assert gateway.call("GET", f"/v1/me?X-API-Key={key}").status_code == 401
    assert gateway.call("GET", "/v1/me", headers={"Cookie": f"X-API-Key={key}"}).status_code == 401
    assert gateway.call("GET", "/v1/me", headers={"Authorization": f"Bearer {key}"}).status_code == 401
    assert gateway.call("GET", "/v1/me", headers={"X_API_Key": key}).status_code == 401


def test_an_open_row_ignores_the_key(gateway: Running) -> None:
    for headers in ({}, {"X-API-Key": "hello"}):
        answer = gateway.call("GET", "/v1/datasets", headers=headers)
        assert (answer.status_code, answer.json()["data"]) == (200, [])
        assert "cache-control" not in answer.headers


def test_k2_a_mistyped_key_is_refused_without_sql(gateway: Running) -> None:
    statements: list[str] = []

    def note(_connection: object, _cursor: object, statement: str, *_: object) -> None:
        if not by_itself(statement):
            statements.append(statement)

    key = gateway.keys["quant"]
    event.listen(Engine, "before_cursor_execute", note)
    try:
        for wrong in (key[:-1] + ("0" if key[-1] != "0" else "1"), "hello", key[:30]):
            assert gateway.call("GET", "/v1/me", headers={"X-API-Key": wrong}).status_code == 401
        assert statements == []
        assert gateway.call("GET", "/v1/me", headers={"X-API-Key": UNKNOWN}).status_code == 401
        assert len(statements) == 1
    finally:
        event.remove(Engine, "before_cursor_execute", note)


def test_refusals_come_in_order(gateway: Running) -> None:
    assert gateway.call("PUT", "/v1/nothing?x=1").status_code == 404
    assert gateway.call("PUT", "/v1/api-keys?x=1").status_code == 405
    assert gateway.call("GET", "/v1/api-keys?x=1").status_code == 401
    assert gateway.call("GET", "/v1/api-keys?x=1", role="quant").status_code == 403
    assert gateway.call("GET", "/v1/api-keys?x=1", role="admin").status_code == 422
