"""A grant's later life and an account's standing over HTTP."""

from typing import Any
from uuid import uuid4

import pytest

from shared.principal import Principal
from tests.services.entitlements.conftest import Http
from tests.services.entitlements.fakes import NOBODY, OPS, OTHER, person
from tests.services.entitlements.refusals import pointers, refusal

GRANTS, ACCOUNTS = "/v1/grants", "/v1/accounts"
WHY = {"reason": "Unpaid."}


def given(http: Http, to: Principal, **terms: Any) -> str:
    """A grant's id."""
    body = {"account": str(to.account), "dataset": "BTC", "frequencies": ["1d"], "reason": "Signed", **terms}
    answer = http("POST", GRANTS, json=body)
    assert answer.status_code == 201, answer.text
    return str(answer.json()["data"][0]["id"])


def test_a_revocation_is_scheduled_kept_and_made(http: Http) -> None:
    grant = given(http, person())
    later = http("POST", f"{GRANTS}/{grant}/revoke", json={**WHY, "effective_at": "2099-01-01"}).json()
    assert (later["status"], later["revokes_at"]) == ("active", "2099-01-01T00:00:00Z")
    kept = http("POST", f"{GRANTS}/{grant}/keep").json()
    assert (kept["status"], kept["revokes_at"]) == ("active", None)
    assert http("POST", f"{GRANTS}/{grant}/revoke", json=WHY).json()["status"] == "revoked"
    assert refusal(http("POST", f"{GRANTS}/{grant}/keep")) == (409, "grant-closed")


def test_an_extension_answers_with_the_new_grant(http: Http) -> None:
    old = given(http, person(), duration_days=10)
    answer = http("POST", f"{GRANTS}/{old}/extend", json={"duration_days": 90, "grace_days": 5})
    new = answer.json()
    assert (answer.status_code, new["supersedes"], new["origin"]) == (200, old, "renewal")
    assert new["grace_days"] == 5
    assert refusal(http("POST", f"{GRANTS}/{old}/extend", json={"duration_days": 90})) == (409, "grant-closed")


def test_a_grant_is_given_back_by_who_holds_it_and_by_nobody_else(http: Http) -> None:
    ada = person()
    grant = given(http, ada)
    for by in (OTHER, OPS):
        assert refusal(http("POST", f"{GRANTS}/{grant}/relinquish", by=by)) == (404, "grant-not-found")
    first, second = (http("POST", f"{GRANTS}/{grant}/relinquish", by=ada) for _ in range(2))
    assert (first.status_code, first.json()["status"]) == (200, "relinquished")
    assert second.json() == first.json()


@pytest.mark.parametrize(
    ("act", "body", "pointer"),
    [
        ("extend", {}, ""),
        ("extend", {"duration_days": 1, "no_end": True}, ""),
        ("extend", {"duration_days": 731}, "/duration_days"),
        ("extend", {"ends_at": "2020-01-01"}, "/ends_at"),
        ("extend", {"duration_days": 1, "grace_days": 31}, "/grace_days"),
        ("extend", {"duration_days": 1, "trial": True}, "/trial"),
        ("revoke", {**WHY, "effective_at": "2020-01-01"}, "/effective_at"),
        ("revoke", {**WHY, "effective_at": "2020-01-01T00:00:00"}, "/effective_at"),
    ],
)
def test_what_makes_no_sense_is_pointed_at(http: Http, act: str, body: dict[str, Any], pointer: str) -> None:
    assert pointers(http("POST", f"{GRANTS}/{given(http, person())}/{act}", json=body)) == [pointer]


@pytest.mark.parametrize("act", ["keep", "extend", "relinquish"])
def test_what_does_not_exist_is_not_found(http: Http, act: str) -> None:
    body: dict[str, Any] = {"json": {"duration_days": 1}} if act == "extend" else {}
    assert refusal(http("POST", f"{GRANTS}/{uuid4()}/{act}", **body)) == (404, "grant-not-found")
    assert refusal(http("POST", f"{GRANTS}/{uuid4()}/{act}", by=None, **body)) == (401, "unauthenticated")


def test_an_account_is_blocked_unblocked_and_closed(http: Http) -> None:
    ada = person()
    grant, path = given(http, ada), f"{ACCOUNTS}/{ada.account}"
    for act, standing in (("block", "blocked"), ("unblock", "good"), ("close", "closed")):
        answer = http("POST", f"{path}/{act}", json=WHY)
        assert (answer.status_code, answer.json()["standing"]) == (200, standing)
        assert http("GET", path).json() == answer.json()
    assert http("GET", f"{GRANTS}/{grant}").json()["status"] == "revoked"
    assert refusal(http("POST", f"{path}/block", json=WHY)) == (409, "account-closed")
    gift = {"account": str(ada.account), "dataset": "BTC", "frequencies": ["1d"], "reason": "Signed"}
    assert refusal(http("POST", GRANTS, json=gift)) == (409, "account-blocked")


@pytest.mark.parametrize("act", ["block", "unblock", "close"])
def test_rulings_are_refused_like_everything_else(http: Http, act: str) -> None:
    assert refusal(http("POST", f"{ACCOUNTS}/{OPS.account}/{act}", json=WHY)) == (403, "self-decision")
    assert refusal(http("POST", f"{ACCOUNTS}/{NOBODY}/{act}", json=WHY)) == (404, "account-not-found")
    assert pointers(http("POST", f"{ACCOUNTS}/{uuid4()}/{act}", json={})) == ["/reason"]
    past = {**WHY, "until": "2020-01-01"}
    assert pointers(http("POST", f"{ACCOUNTS}/{uuid4()}/{act}", json=past)) == ["/until"]
