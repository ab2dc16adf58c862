"""Webhooks over HTTP."""

from typing import Any
from uuid import uuid4

import pytest

from services.entitlements.module import module
from services.entitlements.webhooks.schemas import Message
from shared.application import create_app
from tests.services.entitlements.conftest import Http
from tests.services.entitlements.fakes import NOBODY, OPS, OTHER, QUANT, person
from tests.services.entitlements.refusals import pointers, refusal

PATH = "/v1/webhooks"
BODY = {"url": "https://receiver.example.com/hook"}
OPERATIONS = (
    ("GET", "{id}"),
    ("DELETE", "{id}"),
    ("POST", "{id}/rotate"),
    ("GET", "{id}/deliveries"),
    ("POST", "{id}/deliveries/{delivery}/replay"),
)


def test_a_webhook_is_made_shown_without_its_secret_rotated_and_deleted(http: Http) -> None:
    ada = person()
    made = http("POST", PATH, by=ada, json=BODY)
    webhook = made.json()
    assert (made.status_code, made.headers["Location"]) == (201, f"{PATH}/{webhook['id']}")
    assert webhook["secret"].startswith("whsec_")
    [listed] = http("GET", PATH, by=ada).json()["data"]
    assert http("GET", made.headers["Location"], by=ada).json() == listed
    assert (listed["url"], listed["state"], "secret" in listed) == (BODY["url"], "active", False)
    rotated = http("POST", f"{PATH}/{webhook['id']}/rotate", by=ada)
    assert (rotated.status_code, rotated.json()["secret"] == webhook["secret"]) == (201, False)
    assert http("GET", f"{PATH}/{webhook['id']}/deliveries", by=ada).json() == {"data": [], "next_cursor": None}
    assert http("DELETE", f"{PATH}/{webhook['id']}", by=ada).status_code == 204
    assert http("GET", PATH, by=ada).json()["data"] == []


def test_ops_looks_at_a_quant_s_webhooks_and_deletes_one(http: Http) -> None:
    ada = person()
    made = http("POST", PATH, by=ada, json=BODY).json()
    asked = {"account": str(ada.account)}
    assert [one["id"] for one in http("GET", PATH, by=OPS, params=asked).json()["data"]] == [made["id"]]
    assert http("GET", f"{PATH}/{made['id']}", by=OPS).json()["id"] == made["id"]
    assert http("GET", PATH, by=OTHER, params=asked).json()["data"] == []
    assert http("DELETE", f"{PATH}/{made['id']}", by=OPS).status_code == 204
    assert http("GET", PATH, by=ada).json()["data"] == []


@pytest.mark.parametrize(("method", "path"), OPERATIONS)
def test_another_s_webhook_is_not_found(http: Http, method: str, path: str) -> None:
    made = http("POST", PATH, by=person(), json=BODY).json()
    url = f"{PATH}/{path.format(id=made['id'], delivery=uuid4())}"
    assert refusal(http(method, url, by=OTHER)) == (404, "webhook-not-found")


@pytest.mark.parametrize(("method", "path"), [("GET", ""), ("POST", ""), *((m, f"/{p}") for m, p in OPERATIONS)])
def test_nobody_is_served_without_an_identity(http: Http, method: str, path: str) -> None:
    url = PATH + path.format(id=NOBODY, delivery=NOBODY)
    assert refusal(http(method, url, by=None)) == (401, "unauthenticated")


@pytest.mark.parametrize(
    "url", ["", "no url", "http://example.com/", "https://10.0.0.1/", "https://ex\u0430mple.com/", 7]
)
def test_a_target_that_does_not_fit_is_pointed_at(http: Http, url: object) -> None:
    assert pointers(http("POST", PATH, by=QUANT, json={"url": url})) == ["/url"]


def test_every_type_that_is_told_is_described_with_an_example() -> None:
    app = create_app(module)
    described = app.openapi()["webhooks"]
    assert set(module.tasks) <= set(described)
    for type_, item in described.items():
        [example] = item["post"]["requestBody"]["content"]["application/json"]["examples"].values()
        told: Message[Any] = Message.model_validate(example["value"])
        assert (told.type, bool(told.data)) == (type_, True)
