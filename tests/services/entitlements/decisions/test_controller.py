"""Decisions over HTTP."""

from typing import Any
from uuid import uuid4

import pytest

from shared.principal import Principal
from tests.services.entitlements.conftest import Http
from tests.services.entitlements.fakes import ADMIN, OPS, person
from tests.services.entitlements.refusals import pointers, refusal

APPROVE = {"frequency": "1d", "outcome": "approve"}


def asked(http: Http, by: Principal | None = None) -> str:
    """Where a new request of somebody is decided."""
    answer = http(
        "POST", "/v1/access-requests", by=by or person(), json={"dataset": "BTC", "frequencies": ["1h", "1d"]}
    )
    return f"{answer.headers['Location']}/decisions"


def test_a_decision_answers_with_the_request(http: Http) -> None:
    answer = http("POST", asked(http), json={"decisions": [APPROVE], "note": "Fine."})
    assert answer.status_code == 200
    decided = answer.json()
    assert (decided["status"], decided["account_name"]) == ("pending", "Ada")
    [item] = [item for item in decided["items"] if item["frequency"] == "1d"]
    assert (item["status"], item["decided_by"], item["note"]) == ("approved", str(OPS.account), "Fine.")
    assert http("GET", f"/v1/grants/{item['grant']}").json()["status"] == "active"


def test_deciding_again_is_a_conflict_that_says_who_and_when(http: Http) -> None:
    path = asked(http)
    http("POST", path, json={"outcome": "refuse", "reason": "No."})
    answer = http("POST", path, by=ADMIN, json={"outcome": "approve"})
    assert refusal(answer) == (409, "already-decided")
    assert {item["decided_by"] for item in answer.json()["items"]} == {str(OPS.account)}
    assert all(item["decided_at"].endswith("Z") for item in answer.json()["items"])


def test_one_s_own_request_is_forbidden(http: Http) -> None:
    assert refusal(http("POST", asked(http, by=OPS), json={"outcome": "approve"})) == (403, "self-decision")


def test_a_frequency_that_was_not_asked_for_is_unprocessable(http: Http) -> None:
    answer = http("POST", asked(http), json={"decisions": [{**APPROVE, "frequency": "1mo"}]})
    assert refusal(answer) == (422, "not-in-request")
    assert answer.json()["requested"] == ["1d", "1h"]


def test_what_is_not_there_is_not_found_and_nobody_is_served_without_an_identity(http: Http) -> None:
    path = f"/v1/access-requests/{uuid4()}/decisions"
    assert refusal(http("POST", path, json={"outcome": "approve"})) == (404, "request-not-found")
    assert refusal(http("POST", path, by=None, json={"outcome": "approve"})) == (401, "unauthenticated")


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({}, ""),
        ({"outcome": "yes"}, "/outcome"),
        ({"outcome": "refuse"}, ""),
        ({"outcome": "approve", "ends_at": "2020-01-01"}, "/ends_at"),
        ({"outcome": "approve", "ends_at": "tomorrow"}, "/ends_at"),
        ({"outcome": "approve", "starts_at": "2020-01-01"}, "/starts_at"),
        ({"outcome": "approve", "duration_days": 15, "trial": True}, "/duration_days"),
        ({"outcome": "approve", "no_end": True, "trial": True}, "/no_end"),
        ({"outcome": "approve", "by": "me"}, "/by"),
        ({"outcome": "approve", "reason_code": "No Code"}, "/reason_code"),
        ({"decisions": []}, "/decisions"),
        ({"decisions": [{**APPROVE, "by": "me"}]}, "/decisions/0/by"),
        ({"decisions": [{**APPROVE, "outcome": "refuse"}]}, "/decisions/0"),
        ({"decisions": [{**APPROVE, "ends_at": "2020-01-01"}]}, "/decisions/0/ends_at"),
        ({"decisions": [{**APPROVE, "duration_days": 15, "trial": True}]}, "/decisions/0/duration_days"),
    ],
)
def test_bad_input_is_pointed_at_and_decides_nothing(http: Http, body: dict[str, Any], pointer: str) -> None:
    path = asked(http)
    assert pointers(http("POST", path, json=body)) == [pointer]
    assert {item["status"] for item in http("GET", path.removesuffix("/decisions")).json()["items"]} == {"pending"}
