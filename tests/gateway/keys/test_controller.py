"""Accounts and keys over HTTP, through the door; and what our own services ask."""

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
    assert set(shown) == {"id", "account", "name", "role", "created_at", "expires_at", "revoked_at", "last_used_at"}
    assert shown["last_used_at"] is not None
    for _ in range(2):
        assert gateway.call("DELETE", f"/v1/api-keys/{body['id']}", role="admin").status_code == 204
    assert gateway.call("GET", "/v1/me", headers=headers).status_code == 401


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
    assert ask(f"/internal/accounts?after={made[0]}&limit=1").json()[0]["id"] == str(made[1])
    assert ask("/internal/accounts?ids=nonsense").status_code == 422
    assert ask("/v1/api-keys").status_code == 401
    assert httpx.get(gateway.inner_url + "/internal/accounts").status_code == 401
    assert httpx.get(gateway.url + "/internal/accounts").status_code == 404


def test_the_inner_port_is_closed_with_the_door(told: GatewaySettings) -> None:
    port = free_port()
    with listening(create_gateway(told.model_copy(update={"internal_port": port}), NEAR_ROUTES)):
        assert httpx.get(f"http://127.0.0.1:{port}/livez").status_code == 200
    with pytest.raises(httpx.ConnectError):
        httpx.get(f"http://127.0.0.1:{port}/livez")
