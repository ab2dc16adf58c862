"""Requests over HTTP."""

from typing import Any
from uuid import uuid4

import pytest

from tests.services.entitlements.conftest import Http
from tests.services.entitlements.fakes import NOBODY, OPS, OTHER, QUANT, person
from tests.services.entitlements.refusals import pointers, refusal

PATH = "/v1/access-requests"


def test_a_request_is_made_and_found_where_it_says(http: Http) -> None:
    ada = person()
    answer = http("POST", PATH, by=ada, json={"dataset": "BTC", "frequencies": ["1h", "1d"]})
    assert answer.status_code == 201
    made = answer.json()
    assert made.keys() >= {"id", "account", "dataset", "reason", "trial", "duration_days", "lapse_at", "skipped"}
    assert (made["status"], made["awaiting"], made["account"]) == ("pending", "ops", str(ada.account))
    assert "account_name" not in made
    assert made["created_at"].endswith("Z")
    found = http("GET", answer.headers["Location"], by=ada)
    assert found.json() == made
    seen_by_ops = http("GET", answer.headers["Location"]).json()
    assert (seen_by_ops["account_name"], seen_by_ops["items"][0]["note"]) == ("Ada", None)


def test_ops_asks_like_everybody_and_is_answered_with_the_name(http: Http) -> None:
    answer = http("POST", PATH, by=person("ops", "Olga"), json={"dataset": "BTC", "frequencies": ["1h"]})
    assert (answer.status_code, answer.json()["account_name"]) == (201, "Olga")


@pytest.mark.parametrize(
    ("wrong", "pointer"),
    [
        ({"dataset": "btc"}, "/dataset"),
        ({"dataset": ""}, "/dataset"),
        ({"dataset": "B/../C"}, "/dataset"),
        ({"dataset": None}, "/dataset"),
        ({"frequencies": []}, "/frequencies"),
        ({"frequencies": ["1d", "1d"]}, "/frequencies"),
        ({"frequencies": ["1w"]}, "/frequencies/0"),
        ({"frequencies": "1d"}, "/frequencies"),
        ({"duration_days": 0}, "/duration_days"),
        ({"duration_days": 731}, "/duration_days"),
        ({"duration_days": 10**30}, "/duration_days"),
        ({"duration_days": 1.5}, "/duration_days"),
        ({"reason": "\0"}, "/reason"),
        ({"reason": "x" * 2001}, "/reason"),
        ({"trial": True, "duration_days": 15}, ""),
        ({"account": str(uuid4())}, "/account"),
        ({"status": "approved"}, "/status"),
    ],
)
def test_bad_input_is_pointed_at(http: Http, wrong: dict[str, Any], pointer: str) -> None:
    body = {"dataset": "BTC", "frequencies": ["1d"], **wrong}
    assert pointers(http("POST", PATH, by=QUANT, json=body)) == [pointer]


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"null", b'"BTC"'])
def test_a_body_that_is_no_object_is_refused(http: Http, body: bytes) -> None:
    assert refusal(http("POST", PATH, by=QUANT, content=body))[0] == 422


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({"dataset": "GONE", "frequencies": ["1d"]}, "dataset-not-found"),
        ({"dataset": "ETH", "frequencies": ["1h"]}, "frequency-not-offered"),
    ],
)
def test_what_is_not_offered_is_unprocessable(http: Http, body: dict[str, Any], code: str) -> None:
    assert refusal(http("POST", PATH, by=QUANT, json=body)) == (422, code)


def test_nothing_new_is_a_conflict_with_the_list(http: Http) -> None:
    body, ada = {"dataset": "BTC", "frequencies": ["1d"]}, person()
    made = http("POST", PATH, by=ada, json=body).json()
    answer = http("POST", PATH, by=ada, json=body)
    assert refusal(answer) == (409, "nothing-to-request")
    assert answer.json()["skipped"] == [{"frequency": "1d", "why": "already-pending", "request": made["id"]}]


@pytest.mark.parametrize(
    "query", ["limit=0", "limit=501", "limit=x", "status=open", "account=me", "dataset=%00", "dataset=a%20b", "sort=id"]
)
def test_a_query_that_makes_no_sense_is_pointed_at(http: Http, query: str) -> None:
    assert pointers(http("GET", f"{PATH}?{query}")) == ["/" + query.partition("=")[0]]


@pytest.mark.parametrize("cursor", ["x", "AAAA", "%00", "a" * 400, "é"])
def test_a_forged_cursor_is_refused(http: Http, cursor: str) -> None:
    assert refusal(http("GET", f"{PATH}?cursor={cursor}")) == (400, "invalid-cursor")


@pytest.mark.parametrize(("method", "path"), [("POST", PATH), ("GET", PATH), ("GET", f"{PATH}/{NOBODY}")])
def test_nobody_is_served_without_an_identity(http: Http, method: str, path: str) -> None:
    assert refusal(http(method, path, by=None)) == (401, "unauthenticated")


def test_another_s_request_is_not_found(http: Http) -> None:
    made = http("POST", PATH, by=person(), json={"dataset": "BTC", "frequencies": ["1d"]}).json()
    for caller, id_ in ((OTHER, made["id"]), (OPS, uuid4())):
        assert refusal(http("GET", f"{PATH}/{id_}", by=caller)) == (404, "request-not-found")
    assert pointers(http("GET", f"{PATH}/7")) == ["/id"]


def test_pages_join_without_skips_or_repeats_and_a_cursor_is_its_owner_s(http: Http) -> None:
    ada = person()
    bodies = [{"dataset": f"D{number}", "frequencies": ["1d"]} for number in range(7)]
    made = [http("POST", PATH, by=ada, json=body).json()["id"] for body in bodies]
    seen: list[str] = []
    path: str | None = f"{PATH}?limit=3&status=pending"
    while path:
        answer = http("GET", path, by=ada)
        seen += [request["id"] for request in answer.json()["data"]]
        cursor, link = answer.json()["next_cursor"], answer.headers.get("Link")
        assert (cursor is None) == (link is None)
        if cursor:
            assert refusal(http("GET", f"{PATH}?cursor={cursor}", by=OTHER))[0] == 400
        path = link.partition(">")[0].removeprefix("<") if link else None
    assert seen == made
    assert len(http("GET", f"{PATH}?limit=7", by=ada).json()["data"]) == 7
    assert http("GET", f"{PATH}?limit=7", by=ada).json()["next_cursor"] is None
