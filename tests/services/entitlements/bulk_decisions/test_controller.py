"""Bulk decisions over HTTP."""

from uuid import uuid4

import psycopg

from tests.conftest import Stores
from tests.services.entitlements.conftest import Http
from tests.services.entitlements.fakes import person
from tests.services.entitlements.refusals import pointers, refusal

ASK = "/v1/access-requests"


def test_the_answer_has_a_result_for_each_item_in_order(http: Http) -> None:
    asked = [
        http("POST", "/v1/access-requests", by=person(), json={"dataset": "BTC", "frequencies": ["1d"]}).json()["id"]
        for _ in range(2)
    ]
    decisions = [{"request": request, "frequency": "1d", "outcome": "approve"} for request in (asked[0], str(uuid4()))]
    decisions.append({"request": asked[1], "frequency": "1d", "outcome": "refuse", "reason": "No."})
    answer = http("POST", "/v1/decisions", json={"decisions": decisions})
    assert answer.status_code == 200
    results = answer.json()["data"]
    assert [(r["request"], r["status"]) for r in results] == list(
        zip((d["request"] for d in decisions), (200, 404, 200), strict=True)
    )
    assert [r["item"] and r["item"]["status"] for r in results] == ["approved", None, "refused"]
    problem = results[1]["problem"]
    assert problem.keys() >= {"type", "title", "status", "detail", "instance", "code", "request_id"}
    assert (problem["code"], problem["instance"]) == ("request-not-found", "/v1/decisions")
    assert http("GET", f"/v1/grants/{results[0]['item']['grant']}").json()["status"] == "active"


def test_bad_input_is_pointed_at(http: Http) -> None:
    assert pointers(http("POST", "/v1/decisions", json={"decisions": []})) == ["/decisions"]
    one = {"request": str(uuid4()), "frequency": "1d", "outcome": "maybe"}
    assert pointers(http("POST", "/v1/decisions", json={"decisions": [one]})) == ["/decisions/0/outcome"]
    assert refusal(http("POST", "/v1/decisions", by=None, json={"decisions": [one]})) == (401, "unauthenticated")


def test_a_repeat_decides_what_the_database_was_too_busy_for(http: Http, module_stores: Stores) -> None:
    asked = [
        http("POST", "/v1/access-requests", by=person(), json={"dataset": "BTC", "frequencies": ["1d"]}).json()["id"]
        for _ in range(2)
    ]
    body = {"decisions": [{"request": request, "frequency": "1d", "outcome": "approve"} for request in asked]}
    with psycopg.connect(module_stores.database_url) as somebody:
        somebody.execute("select from entitlements.request_items where request_id = %s for update", asked[:1])
        first = http("POST", "/v1/decisions", json=body, key="bulk")
    again, replayed = (http("POST", "/v1/decisions", json=body, key="bulk") for _ in range(2))
    assert [result["status"] for result in first.json()["data"]] == [503, 200]
    assert [result["status"] for result in again.json()["data"]] == [200, 409]
    assert (replayed.headers["Idempotency-Replayed"], replayed.json()) == ("true", again.json())


def test_as_many_at_once_as_there_are_connections_do_not_wait_for_each_other(http: Http) -> None:
    """Each holds one for its key and takes another for each item."""

    def asked() -> str:
        request: str = http("POST", ASK, by=person(), json={"dataset": "BTC", "frequencies": ["1d"]}).json()["id"]
        return request

    bodies = {
        f"key {number}": {"decisions": [{"request": asked(), "frequency": "1d", "outcome": "approve"} for _ in "ab"]}
        for number in range(8)
    }
    answers = http.at_once("/v1/decisions", bodies)
    assert [result["status"] for answer in answers for result in answer.json()["data"]] == [200] * 16
