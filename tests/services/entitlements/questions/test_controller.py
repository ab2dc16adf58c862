"""Questions and answers over HTTP."""

from typing import Any

import pytest

from shared.principal import Principal
from tests.services.entitlements.conftest import Http
from tests.services.entitlements.fakes import OPS, OTHER, person
from tests.services.entitlements.refusals import pointers, refusal


def asked(http: Http, by: Principal) -> str:
    """Where a new request of somebody is."""
    answer = http("POST", "/v1/access-requests", by=by, json={"dataset": "BTC", "frequencies": ["1h", "1d"]})
    return answer.headers["Location"]


def test_a_question_and_its_answer_answer_with_the_request(http: Http) -> None:
    ada = person()
    path = asked(http, ada)
    question = http("POST", f"{path}/question", json={"text": "For which desk?", "frequencies": ["1h"]})
    assert (question.status_code, question.json()["awaiting"]) == (200, "ops")
    assert question.json()["thread"][0]["author"] == str(OPS.account)
    answer = http("POST", f"{path}/answer", by=ada, json={"text": "Carry."})
    assert answer.status_code == 200
    assert [(m["author_role"], m["text"]) for m in answer.json()["thread"]] == [
        ("ops", "For which desk?"),
        ("quant", "Carry."),
    ]
    assert "author" not in answer.json()["thread"][0]
    assert answer.json() == http("GET", path, by=ada).json()


def test_refusals_are_problems(http: Http) -> None:
    ada = person()
    path, own = asked(http, ada), asked(http, OPS)
    said = {"text": "Hm?"}
    assert refusal(http("POST", f"{path}/answer", by=ada, json=said)) == (409, "nothing-to-answer")
    assert refusal(http("POST", f"{path}/answer", by=OTHER, json=said)) == (404, "request-not-found")
    assert refusal(http("POST", f"{own}/question", json=said)) == (403, "self-decision")
    assert refusal(http("POST", f"{path}/question", json={**said, "frequencies": ["1mo"]})) == (422, "not-in-request")
    http("POST", f"{path}/decisions", json={"outcome": "refuse", "reason": "No."})
    assert refusal(http("POST", f"{path}/question", json=said)) == (409, "already-decided")


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({}, "/text"),
        ({"text": " "}, "/text"),
        ({"text": "a\u0000b"}, "/text"),
        ({"text": "x", "by": "me"}, "/by"),
        ({"text": "x", "frequencies": []}, "/frequencies"),
        ({"text": "x", "frequencies": ["1d", "1d"]}, "/frequencies"),
    ],
)
def test_bad_input_is_pointed_at_and_asks_nothing(http: Http, body: dict[str, Any], pointer: str) -> None:
    path = asked(http, person())
    assert pointers(http("POST", f"{path}/question", json=body)) == [pointer]
    assert http("GET", path).json()["thread"] == []
