"""Grants over HTTP: listing, finding, revoking, and giving directly."""

from typing import Any
from uuid import uuid4

import pytest

from shared.principal import Principal
from tests.services.entitlements.conftest import Http
from tests.services.entitlements.fakes import NOBODY, OPS, OTHER, person
from tests.services.entitlements.refusals import pointers, refusal

PATH = "/v1/grants"


def given(http: Http, to: Principal, *frequencies: str, dataset: str = "BTC") -> list[dict[str, Any]]:
    """Grants given to somebody."""
    body = {"account": str(to.account), "dataset": dataset, "frequencies": frequencies, "reason": "Signed"}
    answer = http("POST", PATH, json=body)
    assert answer.status_code == 201, answer.text
    grants: list[dict[str, Any]] = answer.json()["data"]
    assert answer.headers["Location"] == f"{PATH}/{grants[0]['id']}"
    return grants


def test_a_grant_is_what_the_api_says(http: Http) -> None:
    ada = person()
    [grant] = given(http, ada, "1d")
    assert grant.keys() == {
        *("id", "account", "dataset", "frequency", "kind", "origin", "starts_at", "ends_at", "status"),
        *("revokes_at", "grace_days", "closed_at", "reason", "request", "supersedes", "account_name", "granted_by"),
    }
    own = http("GET", f"{PATH}/{grant['id']}", by=ada).json()
    assert own == {key: value for key, value in grant.items() if key not in ("account_name", "granted_by")}
    assert http("GET", f"{PATH}/{grant['id']}").json() == grant


def test_revoking_twice_answers_the_same(http: Http) -> None:
    ada = person()
    [grant] = given(http, ada, "1d")
    first, second = (http("POST", f"{PATH}/{grant['id']}/revoke", json={"reason": r}) for r in ("Unpaid.", "Again."))
    assert (first.status_code, first.json()["status"], first.json()["reason"]) == (200, "revoked", "Unpaid.")
    assert second.json() == first.json()


def test_a_grant_whose_place_was_taken_is_a_conflict(http: Http) -> None:
    ada = person()
    [old] = given(http, ada, "1d")
    given(http, ada, "1d")
    answer = http("POST", f"{PATH}/{old['id']}/revoke", json={"reason": "Unpaid."})
    assert refusal(answer) == (409, "grant-closed")
    assert answer.json()["grant_status"] == "superseded"


def test_another_s_grant_is_not_found(http: Http) -> None:
    [grant] = given(http, person(), "1d")
    assert refusal(http("GET", f"{PATH}/{grant['id']}", by=OTHER)) == (404, "grant-not-found")
    why: dict[str, Any] = {"json": {"reason": "Unpaid."}}
    calls: list[tuple[str, str, dict[str, Any]]] = [("GET", "", {}), ("POST", "/revoke", why)]
    for method, path, how in calls:
        assert refusal(http(method, f"{PATH}/{uuid4()}{path}", **how)) == (404, "grant-not-found")


@pytest.mark.parametrize(
    ("method", "path"),
    [("GET", PATH), ("POST", PATH), ("GET", f"{PATH}/{NOBODY}"), ("POST", f"{PATH}/{NOBODY}/revoke")],
)
def test_nobody_is_served_without_an_identity(http: Http, method: str, path: str) -> None:
    assert refusal(http(method, path, by=None)) == (401, "unauthenticated")


@pytest.mark.parametrize(
    ("wrong", "pointer"),
    [
        ({"account": "Ada"}, "/account"),
        ({"account": None}, "/account"),
        ({"dataset": "b t c"}, "/dataset"),
        ({"frequencies": ["2d"]}, "/frequencies/0"),
        ({"reason": None}, "/reason"),
        ({"ends_at": "2020-01-01"}, "/ends_at"),
        ({"ends_at": "2020-01-01T00:00:00"}, "/ends_at"),
        ({"starts_at": "0000-01-01"}, "/starts_at"),
        ({"duration_days": 15, "trial": True}, "/duration_days"),
        ({"no_end": False}, "/no_end"),
        ({"no_end": True, "trial": True}, "/no_end"),
        ({"note": "Psst."}, "/note"),
    ],
)
def test_a_gift_that_makes_no_sense_is_pointed_at(http: Http, wrong: dict[str, Any], pointer: str) -> None:
    body = {"account": str(uuid4()), "dataset": "BTC", "frequencies": ["1d"], "reason": "Signed", **wrong}
    assert pointers(http("POST", PATH, json=body)) == [pointer]


@pytest.mark.parametrize(
    ("wrong", "status", "code"),
    [
        ({"account": str(NOBODY)}, 422, "account-not-found"),
        ({"account": str(OPS.account)}, 403, "self-decision"),
        ({"dataset": "GONE"}, 422, "dataset-not-found"),
        ({"dataset": "ETH", "frequencies": ["1h"]}, 422, "frequency-not-offered"),
    ],
)
def test_a_gift_that_cannot_be_is_refused(http: Http, wrong: dict[str, Any], status: int, code: str) -> None:
    body = {"account": str(uuid4()), "dataset": "BTC", "frequencies": ["1d"], "reason": "Signed", **wrong}
    assert refusal(http("POST", PATH, json=body)) == (status, code)


@pytest.mark.parametrize(
    ("body", "pointer"),
    [({}, "/reason"), ({"reason": ""}, "/reason"), ({"reason": "No.", "grant": "x"}, "/grant"), ([], "")],
)
def test_a_revocation_that_makes_no_sense_is_pointed_at(http: Http, body: Any, pointer: str) -> None:
    [grant] = given(http, person(), "1d")
    assert pointers(http("POST", f"{PATH}/{grant['id']}/revoke", json=body)) == [pointer]
    assert http("GET", f"{PATH}/{grant['id']}").json()["status"] == "active"


@pytest.mark.parametrize(
    "query", ["limit=0", "status=open", "account=me", "dataset=%00", "frequency=1w", "ending_before=soon", "q=1"]
)
def test_a_query_that_makes_no_sense_is_pointed_at(http: Http, query: str) -> None:
    assert pointers(http("GET", f"{PATH}?{query}")) == ["/" + query.partition("=")[0]]


def test_pages_join_without_skips_or_repeats(http: Http) -> None:
    ada = person()
    made = [given(http, ada, "1d", dataset=f"D{number}")[0]["id"] for number in range(5)]
    seen: list[str] = []
    query = f"limit=2&status=active&account={ada.account}"
    path: str | None = f"{PATH}?{query}"
    while path:
        page = http("GET", path).json()
        seen += [grant["id"] for grant in page["data"]]
        path = f"{PATH}?{query}&cursor={page['next_cursor']}" if page["next_cursor"] else None
    assert seen == made
    assert refusal(http("GET", f"{PATH}?cursor=forged")) == (400, "invalid-cursor")
