"""Rules and simulations over HTTP."""

from typing import Any

import pytest

from tests.services.entitlements.conftest import Http
from tests.services.entitlements.fakes import ADMIN, QUANT, person
from tests.services.entitlements.refusals import pointers, refusal

PATH = "/v1/rules"
RULE: dict[str, Any] = {"name": "a", "when": {}, "verdict": "refer", "reason": "Later.", "reason_code": "later"}


def put(http: Http, *rules: dict[str, Any], replaces: int = 1, **more: Any) -> Any:
    body = {"replaces": replaces, "note": "A test", "rules": list(rules), **more}
    return http("PUT", PATH, by=ADMIN, json=body)


@pytest.mark.parametrize(
    ("wrong", "pointer"),
    [
        ({"verdict": "abstain"}, "/rules/0/verdict"),
        ({"when": {"moon": "full"}}, "/rules/0/when/moon"),
        ({"when": {"trial": "yes"}}, "/rules/0/when/trial"),
        ({"when": {"frequencies": ["1d", "1w"]}}, "/rules/0/when/frequencies/1"),
        ({"verdict": "approve", "when": {"standing": "closed"}}, "/rules/0/verdict"),
        ({"cap": {"automatic_approvals": 1, "days": 1}}, "/rules/0/cap"),
        ({"surprise": 1}, "/rules/0/surprise"),
        ({"reason": "\u0000"}, "/rules/0/reason"),
    ],
)
def test_nonsense_is_pointed_at(http: Http, wrong: dict[str, Any], pointer: str) -> None:
    assert pointers(put(http, {**RULE, **wrong})) == [pointer]


def test_a_name_is_given_once_and_nothing_else_is_taken(http: Http) -> None:
    assert pointers(put(http, RULE, RULE)) == ["/rules"]
    assert pointers(put(http, RULE, author="me")) == ["/author"]
    assert pointers(put(http, RULE, replaces=True)) == ["/replaces"]


def test_rules_are_shown_replaced_and_shown_as_they_were(http: Http) -> None:
    first = http("GET", PATH).json()
    assert (first["version"], first["author"], len(first["rules"])) == (1, None, 4)
    answer = put(http, RULE)
    assert (answer.status_code, answer.json()["version"], answer.json()["author_name"]) == (200, 2, "Adam")
    now = http("GET", PATH).json()
    assert [version["version"] for version in now["history"]] == [2, 1]
    assert http("GET", f"{PATH}?version=1").json()["rules"] == first["rules"]
    lost = put(http, RULE)
    assert (refusal(lost), lost.json()["version"]) == ((409, "rules-changed"), 2)
    assert refusal(http("GET", f"{PATH}?version=9")) == (404, "rules-version-not-found")


def test_a_draft_is_tried_on_the_past(http: Http) -> None:
    ada = person()
    http("POST", "/v1/access-requests", by=ada, json={"dataset": "BTC", "frequencies": ["1h"]})
    draft = {**RULE, "verdict": "approve"}
    answer = http("POST", f"{PATH}/simulate", json={"rules": [draft], "since": "2020-01-01"})
    assert answer.status_code == 200
    assert answer.json()["draft"]["approve"] == answer.json()["items"] > 0
    upside_down = {"rules": [], "since": "2026-01-02", "until": "2026-01-01"}
    assert pointers(http("POST", f"{PATH}/simulate", json=upside_down)) == [""]
    assert pointers(http("POST", f"{PATH}/simulate", json={"rules": [], "limit": 1001})) == ["/limit"]


def test_a_preview_says_what_the_request_is_then_answered_with(http: Http) -> None:
    body = {"dataset": "ETH", "frequencies": ["1d"], "trial": True}
    seen = http("POST", "/v1/access-requests/preview", by=QUANT, json=body)
    assert (seen.status_code, seen.json()["skipped"], seen.json()["trial"]) == (200, [], True)
    made = http("POST", "/v1/access-requests", by=QUANT, json=body)
    assert seen.json()["items"][0]["outcome"] == made.json()["items"][0]["status"]
    missing = http("POST", "/v1/access-requests/preview", by=QUANT, json={**body, "frequencies": ["1h"]})
    assert refusal(missing) == (422, "frequency-not-offered")
