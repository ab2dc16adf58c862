"""Withdrawals over HTTP."""

from tests.services.entitlements.conftest import Http
from tests.services.entitlements.fakes import OPS, person
from tests.services.entitlements.refusals import pointers, refusal

ASK = {"dataset": "BTC", "frequencies": ["1h", "1d"]}


def test_a_withdrawal_answers_with_the_request_and_needs_no_body(http: Http) -> None:
    ada = person()
    path = http("POST", "/v1/access-requests", by=ada, json=ASK).headers["Location"]
    one = http("POST", f"{path}/withdraw", by=ada, json={"frequencies": ["1h"]})
    assert (one.status_code, one.json()["status"]) == (200, "pending")
    rest = http("POST", f"{path}/withdraw", by=ada)
    assert (rest.status_code, rest.json()["status"]) == (200, "withdrawn")
    assert rest.json() == http("GET", path, by=ada).json()
    again = http("POST", f"{path}/withdraw", by=ada, json={})
    assert refusal(again) == (409, "nothing-to-withdraw")
    assert again.json()["items"][0].keys() == {"frequency", "status", "decided_at"}


def test_refusals_are_problems(http: Http) -> None:
    ada = person()
    path = http("POST", "/v1/access-requests", by=ada, json=ASK).headers["Location"]
    assert refusal(http("POST", f"{path}/withdraw", by=OPS)) == (404, "request-not-found")
    assert refusal(http("POST", f"{path}/withdraw", by=None)) == (401, "unauthenticated")
    body = {"frequencies": ["1mo"]}
    assert refusal(http("POST", f"{path}/withdraw", by=ada, json=body)) == (422, "not-in-request")
    assert pointers(http("POST", f"{path}/withdraw", by=ada, json={"why": "x"})) == ["/why"]
    decision = {"decisions": [{"frequency": "1h", "outcome": "refuse", "reason": "No."}]}
    http("POST", f"{path}/decisions", json=decision)
    body = {"frequencies": ["1h"]}
    assert refusal(http("POST", f"{path}/withdraw", by=ada, json=body)) == (409, "already-decided")
