"""Accounts and keys over HTTP, through the door; and what our own services ask."""

from datetime import datetime, timedelta

import httpx
import pytest

from cli.embedded.children import free_port
from gateway.main import create_gateway
from gateway.settings import GatewaySettings
from shared import identity
from shared.identity import Signer
from shared.principal import Principal
from tests.gateway.conftest import CLI, NEAR_ROUTES, Running, key_service
from tests.serving import listening


def add(gateway: Running, **body: object) -> httpx.Response:
    return gateway.call("POST", "/v1/api-keys", role="admin", json=body)


def test_me_is_who_the_key_belongs_to(gateway: Running) -> None:
    told = gateway.call("GET", "/v1/me", role="ops").json()
    assert (told["name"], told["role"], told["key"]["expires_at"]) == ("the ops", "ops", None)
    assert gateway.keys["ops"].split("_")[2] == told["key"]["id"]


def test_a_key_is_made_used_listed_and_revoked(gateway: Running) -> None:
    made = add(gateway, name="Ada", role="quant", expires_at="2100-01-01")
    assert made.status_code == 201
    body = made.json()
    assert set(body) == {"id", "account", "name", "role", "key", "expires_at", "created_at"}
    assert made.headers["location"] == f"/v1/api-keys/{body['id']}"
    assert made.headers["cache-control"] == "no-store"
    headers = {"X-API-Key": body["key"]}
    assert gateway.call("GET", "/v1/me", headers=headers).json()["account"] == body["account"]
    shown = gateway.call("GET", f"/v1/api-keys/{body['id']}", role="admin").json()
    times = {"created_at", "expires_at", "revoked_at", "last_used_at"}
    assert set(shown) == {"id", "account", "name", "role", "successor", *times}
    assert shown["last_used_at"] is not None
    for _ in range(2):
        assert gateway.call("DELETE", f"/v1/api-keys/{body['id']}", role="admin").status_code == 204
    assert gateway.call("GET", "/v1/me", headers=headers).status_code == 401


def test_a_repeat_under_an_idempotency_key_makes_no_second_key_and_shows_none(gateway: Running) -> None:
    body, headers = {"name": "Rita", "role": "quant"}, {"Idempotency-Key": "Rita's first key"}
    first, again = (gateway.call("POST", "/v1/api-keys", role="admin", json=body, headers=headers) for _ in range(2))
    assert (first.status_code, again.status_code, again.headers["idempotency-replayed"]) == (201, 201, "true")
    note = again.json().pop("note")
    assert {**again.json(), "note": note} == {**first.json(), "key": None, "note": note}
    assert f"POST {first.headers['location']}/rotate" in note
    rotated = gateway.call("POST", f"{again.headers['location']}/rotate", role="admin")
    assert (rotated.status_code, rotated.json()["account"]) == (201, first.json()["account"])


def test_a_second_key_belongs_to_the_same_account(gateway: Running) -> None:
    first = add(gateway, name="Bob", role="quant").json()
    second = add(gateway, account=first["account"]).json()
    assert (second["account"], second["name"], second["role"]) == (first["account"], "Bob", "quant")
    assert second["id"] != first["id"]


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ({"name": "the quant", "role": "quant"}, 409, "name-taken"),
        ({"account": "0198c5d2-5b7e-7c3a-9f10-3f6f3f0f9a11"}, 422, "account-not-found"),
        ({"name": "Cleo"}, 422, "invalid-input"),
        ({"role": "quant"}, 422, "invalid-input"),
        ({}, 422, "invalid-input"),
        ({"name": "Cleo", "role": "anonymous"}, 422, "invalid-input"),
        ({"name": "Cleo", "role": "quant", "account": "0198c5d2-5b7e-7c3a-9f10-3f6f3f0f9a11"}, 422, "invalid-input"),
        ({"name": "Cleo", "role": "quant", "key": "mine"}, 422, "invalid-input"),
        ({"name": "Cleo", "role": "quant", "expires_at": "2020-01-01"}, 422, "invalid-input"),
        ({"name": "Cleo", "role": "quant", "expires_at": "2100-01-01T00:00:00"}, 422, "invalid-input"),
        ({"name": "a\nb", "role": "quant"}, 422, "invalid-input"),
        ({"name": "a\u0000b", "role": "quant"}, 422, "invalid-input"),
    ],
)
def test_what_does_not_make_a_key(gateway: Running, body: dict[str, object], status: int, code: str | None) -> None:
    answer = add(gateway, **body)
    assert (answer.status_code, answer.json().get("code")) == (status, code)


def test_the_list_comes_in_pages_without_secrets(gateway: Running) -> None:
    add(gateway, name="Dora", role="quant")
    first = gateway.call("GET", "/v1/api-keys?limit=2", role="admin")
    link = first.headers["link"].removeprefix("<").partition(">")[0]
    second = gateway.call("GET", link, role="admin").json()
    ids = [key["id"] for key in first.json()["data"] + second["data"]]
    assert len(ids) == len(set(ids)) >= 3
    assert "digest" not in first.text
    assert "key" not in first.json()["data"][0]
    forged = gateway.call("GET", "/v1/api-keys?cursor=forged", role="admin")
    assert (forged.status_code, forged.json()["code"]) == (400, "invalid-cursor")


def test_the_last_admin_key_and_an_unknown_one(gateway: Running) -> None:
    own = gateway.keys["admin"].split("_")[2]
    last = gateway.call("DELETE", f"/v1/api-keys/{own}", role="admin")
    assert (last.status_code, last.json()["code"]) == (409, "last-admin")
    unknown = gateway.call("DELETE", "/v1/api-keys/nosuchkey0", role="admin")
    assert (unknown.status_code, unknown.json()["code"]) == (404, "api-key-not-found")


def rotate(gateway: Running, key_id: str, **options: object) -> httpx.Response:
    return gateway.call("POST", f"/v1/api-keys/{key_id}/rotate", role="admin", **options)


def status(gateway: Running, key: str) -> int:
    return gateway.call("GET", "/v1/me", headers={"X-API-Key": key}).status_code


@pytest.mark.parametrize("options", [{}, {"json": {}}, {"json": {"overlap_seconds": 604_800}}])
def test_k5_a_key_is_rotated_and_both_work_for_a_while(gateway: Running, options: dict[str, object]) -> None:
    old = add(gateway, name=f"rotated with {options}", role="quant").json()
    made = rotate(gateway, old["id"], **options)
    new = made.json()
    assert (made.status_code, set(new)) == (201, set(old))
    assert made.headers["location"] == f"/v1/api-keys/{new['id']}"
    assert made.headers["cache-control"] == "no-store"
    assert (new["account"], new["role"], new["expires_at"]) == (old["account"], "quant", None)
    assert [status(gateway, key["key"]) for key in (old, new)] == [200, 200]
    shown = gateway.call("GET", f"/v1/api-keys/{old['id']}", role="admin").json()
    assert shown["successor"] == new["id"]
    lasts = datetime.fromisoformat(shown["expires_at"]) - datetime.fromisoformat(new["created_at"])
    wanted = options.get("json", {}).get("overlap_seconds", 86_400)  # type: ignore[attr-defined]
    assert lasts == timedelta(seconds=wanted)
    again = rotate(gateway, old["id"])
    assert (again.status_code, again.json()["code"], again.json()["successor"]) == (409, "already-rotated", new["id"])


def test_k5_without_an_overlap_the_old_key_is_refused_at_once(gateway: Running) -> None:
    old = add(gateway, name="Gwen", role="quant").json()
    new = rotate(gateway, old["id"], json={"overlap_seconds": 0}).json()
    assert [status(gateway, key["key"]) for key in (old, new)] == [401, 200]


def test_k5_a_revoked_key_is_not_rotated(gateway: Running) -> None:
    made = add(gateway, name="Hugo", role="quant").json()
    gateway.call("DELETE", f"/v1/api-keys/{made['id']}", role="admin")
    refused = rotate(gateway, made["id"])
    assert (refused.status_code, refused.json()["code"]) == (409, "key-not-usable")
    unknown = rotate(gateway, "nosuchkey0")
    assert (unknown.status_code, unknown.json()["code"]) == (404, "api-key-not-found")


@pytest.mark.parametrize(
    "body",
    [{"overlap_seconds": wrong} for wrong in (-1, 604_801, 1.5, "60", True, None)] + [{"overlap": 60}, [], "60"],
)
def test_what_is_no_overlap_rotates_nothing(gateway: Running, body: object) -> None:
    refused = rotate(gateway, gateway.keys["quant"].split("_")[2], json=body)
    assert (refused.status_code, refused.json()["code"]) == (422, "invalid-input")
    assert gateway.call("GET", "/v1/me", role="quant").json()["key"]["expires_at"] is None


def test_an_admin_may_rotate_its_own_key(gateway: Running) -> None:
    with key_service(gateway.stores) as service:
        own = service.create(name="Ida", role="admin", by=CLI)
    headers = {"X-API-Key": own.key}
    new = gateway.call("POST", f"/v1/api-keys/{own.id}/rotate", headers=headers).json()
    assert status(gateway, new["key"]) == 200
    assert gateway.call("DELETE", f"/v1/api-keys/{new['id']}", role="admin").status_code == 204


def test_our_services_ask_for_accounts_on_the_inner_port(gateway: Running, key_pair: tuple[str, str]) -> None:
    with key_service(gateway.stores) as service:
        made = [service.create(name=name, role="quant", by=CLI).account for name in ("Eve", "Finn")]
    signer = Signer(key_pair[0], issuer="entitlements")
    token = signer.token(Principal(role="service", name="entitlements"), "keys")

    def ask(path: str) -> httpx.Response:
        return httpx.get(gateway.inner_url + path, headers={identity.HEADER: token})

    both = ask(f"/internal/accounts?ids={made[1]},{made[0]}").json()
    assert both == [{"id": str(i), "name": n, "role": "quant"} for i, n in zip(made, ("Eve", "Finn"), strict=True)]
    assert ask(f"/internal/accounts/{made[0]}").json()["name"] == "Eve"
    assert ask("/internal/accounts/0198c5d2-5b7e-7c3a-9f10-3f6f3f0f9a11").status_code == 404
    assert ask(f"/internal/accounts/{made[0]}/keys").json() == {"usable": 1}
    assert ask("/internal/accounts/0198c5d2-5b7e-7c3a-9f10-3f6f3f0f9a11/keys").json() == {"usable": 0}
    assert ask(f"/internal/accounts?after={made[0]}&limit=1").json()[0]["id"] == str(made[1])
    assert ask("/internal/accounts?ids=nonsense").status_code == 422
    assert ask("/v1/api-keys").status_code == 401
    assert httpx.get(gateway.inner_url + "/internal/accounts").status_code == 401
    assert httpx.get(gateway.url + "/internal/accounts").status_code == 404


def test_the_inner_port_has_the_bounds_of_the_door(gateway: Running) -> None:
    assert httpx.get(f"{gateway.inner_url}/livez", headers={"X-A": "b" * 66_000}).status_code == 431


def test_the_inner_port_is_closed_with_the_door(told: GatewaySettings) -> None:
    port = free_port()
    with listening(create_gateway(told.model_copy(update={"internal_port": port}), NEAR_ROUTES)):
        assert httpx.get(f"http://127.0.0.1:{port}/livez").status_code == 200
    with pytest.raises(httpx.ConnectError):
        httpx.get(f"http://127.0.0.1:{port}/livez")
