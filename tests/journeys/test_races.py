"""Who comes at the same moment, or right after an answer, through the gateway and its processes."""

from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from threading import Barrier
from typing import Any

import httpx
import psycopg

from tests.proof import PROOF
from tests.world import World

REQUESTS = "/v1/access-requests"
DAILY = "/v1/datasets/BTC/prices?frequency=1d&limit=1"
DECIDERS = 16
ROUNDS = 200 if PROOF else 5


def _at_once(calls: list[Callable[[], httpx.Response]]) -> list[httpx.Response]:
    """Make all calls at the same moment, each in a thread of its own."""
    barrier = Barrier(len(calls))

    def start(call: Callable[[], httpx.Response]) -> httpx.Response:
        barrier.wait(20)
        return call()

    with ThreadPoolExecutor(len(calls)) as pool:
        return list(pool.map(start, calls))


def _ask(quant: httpx.Client, dataset: str, frequency: str) -> httpx.Response:
    return quant.post(REQUESTS, json={"dataset": dataset, "frequencies": [frequency]})


def _count(world: World, query: str, *values: Any) -> int:
    with closing(psycopg.connect(world.env["TICKGATE_DATABASE_URL"])) as connection:
        row = connection.execute(query, values).fetchone()
    assert row is not None
    return int(row[0])


def test_two_identical_requests_at_once_leave_one_pending_item(world: World, quant: httpx.Client) -> None:
    account = quant.get("/v1/me").json()["account"]
    for dataset, frequency in (("BTC", "1h"), ("BTC", "1d"), ("BTC", "1mo"), ("ETH", "1d")):
        answers = _at_once([lambda d=dataset, f=frequency: _ask(quant, d, f)] * 2)  # type: ignore[misc]
        assert sorted(answer.status_code for answer in answers) == [201, 409], [answer.text for answer in answers]
        made, other = sorted(answers, key=lambda answer: answer.status_code)
        assert other.json()["code"] == "nothing-to-request"
        assert [(s["why"], s["request"]) for s in other.json()["skipped"]] == [("already-pending", made.json()["id"])]
        open_items = """select count(*) from entitlements.request_items
            where account = %s and dataset = %s and frequency = %s"""
        assert _count(world, open_items, account, dataset, frequency) == 1


def test_sixteen_deciders_on_one_request_give_one_decision_and_fifteen_conflicts(
    world: World, ops: httpx.Client, quant: httpx.Client
) -> None:
    request = _ask(quant, "BTC", "1h").json()["id"]
    path = f"{REQUESTS}/{request}/decisions"
    bodies = [{"outcome": "approve"}, {"outcome": "refuse", "reason": "Only a test."}] * (DECIDERS // 2)
    answers = _at_once([lambda body=body: ops.post(path, json=body) for body in bodies])  # type: ignore[misc]
    assert Counter(answer.status_code for answer in answers) == {200: 1, 409: 15}, [a.text for a in answers]
    refusals = [answer.json() for answer in answers if answer.status_code == 409]
    assert {refusal["code"] for refusal in refusals} == {"already-decided"}
    decided = next(answer.json()["items"][0] for answer in answers if answer.status_code == 200)
    fates = {(item["status"], item["decided_at"]) for refusal in refusals for item in refusal["items"]}
    assert fates == {(decided["status"], decided["decided_at"])}
    grants = _count(world, "select count(*) from entitlements.grants where request_id = %s", request)
    assert grants == (1 if decided["status"] == "approved" else 0)
    events = (
        "select count(*) from entitlements.outbox where type = 'access.decided' and payload->'data'->>'request' = %s"
    )
    assert _count(world, events, request) == 1
    audit = "select count(*) from entitlements.audit_events where action = 'access.decided' and subject::text = %s"
    assert _count(world, audit, request) == 1


def test_a_read_after_an_approval_always_succeeds_and_a_read_after_a_revocation_never_does(
    ops: httpx.Client, quant: httpx.Client
) -> None:
    after_approval: Counter[int] = Counter()
    after_revocation: Counter[tuple[int, str]] = Counter()
    for _ in range(ROUNDS):
        request = _ask(quant, "BTC", "1d").json()["id"]
        decided = ops.post(f"{REQUESTS}/{request}/decisions", json={"outcome": "approve"}).json()
        after_approval[quant.get(DAILY).status_code] += 1
        grant = decided["items"][0]["grant"]
        assert ops.post(f"/v1/grants/{grant}/revoke", json={"reason": "Only a test."}).status_code == 200
        for answer in _at_once([lambda: quant.get(DAILY)] * 2):
            after_revocation[answer.status_code, answer.json()["code"]] += 1
    assert after_approval == {200: ROUNDS}
    assert after_revocation == {(403, "revoked"): 2 * ROUNDS}
