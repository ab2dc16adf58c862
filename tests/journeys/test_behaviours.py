"""The seven behaviours of the brief, word for word, through the gateway."""

import time
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from tests.proof import BOTH
from tests.world import until

pytestmark = pytest.mark.parametrize("world", BOTH, indirect=True, scope="module")

REQUESTS = "/v1/access-requests"


def _ask(quant: httpx.Client, dataset: str, *frequencies: str) -> dict[str, Any]:
    answer = quant.post(REQUESTS, json={"dataset": dataset, "frequencies": list(frequencies)})
    assert answer.status_code == 201, answer.text
    assert answer.headers["Location"] == f"{REQUESTS}/{answer.json()['id']}"
    request: dict[str, Any] = answer.json()
    return request


def _decide(ops: httpx.Client, request: dict[str, Any], **body: Any) -> dict[str, Any]:
    answer = ops.post(f"{REQUESTS}/{request['id']}/decisions", json=body)
    assert answer.status_code == 200, answer.text
    decided: dict[str, Any] = answer.json()
    return decided


def _read(quant: httpx.Client, dataset: str, frequency: str, **query: Any) -> httpx.Response:
    return quant.get(f"/v1/datasets/{dataset}/prices", params={"frequency": frequency, **query})


def test_1_a_quant_can_view_the_metadata_name_and_symbol_and_available_frequencies_of_all_datasets_on_the_platform(
    anyone: httpx.Client, quant: httpx.Client
) -> None:
    expected = [
        {"symbol": "BTC", "name": "Bitcoin", "frequencies": ["1h", "1d", "1mo"]},
        {"symbol": "ETH", "name": "Ethereum", "frequencies": ["1d"]},
    ]
    for person in (anyone, quant):
        assert person.get("/v1/datasets").json() == {"data": expected, "next_cursor": None}
        assert person.get("/v1/datasets/ETH").json() == expected[1]
    assert anyone.get("/v1/datasets/DOGE").json()["code"] == "dataset-not-found"


def test_2_a_quant_can_request_access_to_one_or_more_frequencies_of_a_dataset(quant: httpx.Client) -> None:
    request = _ask(quant, "BTC", "1h", "1mo")
    assert request["status"] == "pending"
    assert [(item["frequency"], item["status"]) for item in request["items"]] == [("1h", "pending"), ("1mo", "pending")]
    assert quant.get(f"{REQUESTS}/{request['id']}").json() == request | {"skipped": []}
    again = quant.post(REQUESTS, json={"dataset": "BTC", "frequencies": ["1h", "1d"]}).json()
    assert [item["frequency"] for item in again["items"]] == ["1d"]
    assert (
        again["skipped"][0] | {"frequency": "1h", "why": "already-pending", "request": request["id"]}
        == again["skipped"][0]
    )
    nothing = quant.post(REQUESTS, json={"dataset": "BTC", "frequencies": ["1h", "1d", "1mo"]})
    assert (nothing.status_code, nothing.json()["code"]) == (409, "nothing-to-request")


def test_3_an_ops_can_view_all_pending_dataset_access_requests(
    ops: httpx.Client, admin: httpx.Client, quant: httpx.Client
) -> None:
    mine = _ask(quant, "BTC", "1h")
    other = _ask(admin, "ETH", "1d")
    for person in (ops, admin):
        answer = person.get(REQUESTS, params={"status": "pending", "limit": 500})
        assert answer.status_code == 200, answer.text
        pending = answer.json()["data"]
        found = {row["id"]: row for row in pending}
        assert {mine["id"], other["id"]} <= set(found)
        assert found[mine["id"]]["account_name"].startswith("test_3")
        assert all(row["status"] == "pending" for row in pending)
    own = quant.get(REQUESTS).json()["data"]
    assert [row["id"] for row in own] == [mine["id"]]
    assert quant.get(f"{REQUESTS}/{other['id']}").status_code == 404
    _decide(ops, other, outcome="refuse", reason="Only a test.")
    pending = ops.get(REQUESTS, params={"status": "pending", "limit": 500}).json()["data"]
    assert other["id"] not in {row["id"] for row in pending}


def test_4_an_ops_can_approve_or_refuse_a_request_giving_access_or_not_to_a_dataset_for_a_frequency_to_the_quant(
    ops: httpx.Client, quant: httpx.Client
) -> None:
    request = _ask(quant, "BTC", "1h", "1d")
    decided = _decide(
        ops,
        request,
        decisions=[
            {"frequency": "1d", "outcome": "approve", "duration_days": 30},
            {"frequency": "1h", "outcome": "refuse", "reason": "Hourly data needs a signed licence."},
        ],
        note="Known customer.",
    )
    assert decided["status"] == "partially-approved"
    assert _read(quant, "BTC", "1d").status_code == 200
    refusal = _read(quant, "BTC", "1h")
    assert (refusal.status_code, refusal.json()["code"]) == (403, "refused")
    assert refusal.json()["reason"] == "Hourly data needs a signed licence."
    assert "Known customer" not in quant.get(f"{REQUESTS}/{request['id']}").text
    again = ops.post(f"{REQUESTS}/{request['id']}/decisions", json={"outcome": "approve"})
    assert (again.status_code, again.json()["code"]) == (409, "already-decided")
    told = until(lambda: quant.get("/v1/notifications").json()["data"], "the Quant's notification")
    assert [(message["type"], message["data"]["request"]) for message in told] == [("access.decided", request["id"])]
    asked = until(lambda: _told(ops, request["id"]), "the notification of Ops")  # two events, in either order
    assert [message["type"] for message in asked] == ["access.requested"]


def test_5_a_quant_can_view_the_pricing_data_in_usd_of_the_datasets_and_frequencies_they_have_access_to(
    ops: httpx.Client, quant: httpx.Client
) -> None:
    assert _read(quant, "BTC", "1h").json()["code"] == "never-requested"
    _decide(ops, _ask(quant, "BTC", "1h", "1d", "1mo"), outcome="approve")
    for frequency in ("1h", "1d", "1mo"):
        answer = _read(quant, "BTC", frequency, limit=3).json()
        assert (answer["currency"], answer["source"], len(answer["data"])) == ("USD", "sample", 3)
        assert all(float(bar["price_usd"]) > 0 for bar in answer["data"])
        csv = _read(quant, "BTC", frequency, format="csv").text.splitlines()
        assert csv[0].startswith("timestamp,price_usd,final")
        assert csv[1].split(",")[1] == answer["data"][0]["price_usd"]
    denied = _read(quant, "ETH", "1d")
    assert denied.status_code == 403
    assert "price_usd" not in denied.text
    remedy = denied.json()["remedy"]
    assert quant.request(remedy["method"], remedy["href"], json=remedy["body"]).status_code == 201


def test_6_the_market_cap_in_usd_of_each_dataset_is_backfilled_every_day_at_20_00_utc(
    ops: httpx.Client, quant: httpx.Client
) -> None:
    run = ops.post("/v1/jobs/backfill-market-caps/run", json={})
    assert run.status_code == 202, run.text

    def done() -> Any:
        rows = ops.get("/v1/jobs", params={"job": "backfill-market-caps"}).json()["data"]
        return [row for row in rows if row["id"] == run.json()["id"] and row["state"] == "done"]

    row = until(done, "the run's end")[0]
    runs = ops.get("/v1/jobs", params={"job": "backfill-market-caps"}).json()["data"]
    now = datetime.now(UTC)
    planned = now.replace(hour=20, minute=0, second=0, microsecond=0)
    planned += timedelta(days=1 if planned <= now else 0)
    assert f"{planned:%Y-%m-%dT%H:%M:%SZ}" in [run["slot"] for run in runs]
    assert row["slot"].endswith("T20:00:00Z")
    _decide(ops, _ask(quant, "BTC", "1d"), outcome="approve")
    _decide(ops, _ask(quant, "ETH", "1d"), outcome="approve")
    for symbol in ("BTC", "ETH"):
        caps = quant.get(f"/v1/datasets/{symbol}/market-caps").json()
        assert (caps["dataset"], caps["currency"]) == (symbol, "USD")
        assert caps["data"][-1]["date"] == row["slot"][:10]
        assert float(caps["data"][-1]["market_cap_usd"]) > 0


def test_7_an_ops_can_give_access_for_a_limited_time_a_trial_and_revoke_access(
    ops: httpx.Client, quant: httpx.Client
) -> None:
    account = quant.get("/v1/me").json()["account"]
    ends_at = datetime.now(UTC) + timedelta(seconds=2)
    trial = ops.post(
        "/v1/grants",
        json={
            "account": account,
            "dataset": "ETH",
            "frequencies": ["1d"],
            "trial": True,
            "ends_at": ends_at.isoformat(),
            "reason": "A first look",
        },
    )
    assert trial.status_code == 201, trial.text
    assert trial.json()["data"][0]["kind"] == "trial"
    assert _read(quant, "ETH", "1d").status_code == 200
    time.sleep((ends_at - datetime.now(UTC)).total_seconds() + 0.01)
    assert _read(quant, "ETH", "1d").json()["code"] == "trial-ended"
    request = _ask(quant, "BTC", "1d")
    grant = _decide(ops, request, outcome="approve")["items"][0]["grant"]
    assert _read(quant, "BTC", "1d").status_code == 200
    revoked = ops.post(f"/v1/grants/{grant}/revoke", json={"reason": "The licence ended."})
    assert (revoked.status_code, revoked.json()["status"]) == (200, "revoked")
    denied = _read(quant, "BTC", "1d")
    assert (denied.status_code, denied.json()["code"]) == (403, "revoked")
    assert ops.post(f"/v1/grants/{grant}/revoke", json={"reason": "Again."}).json() == revoked.json()


def _told(ops: httpx.Client, request: str) -> list[dict[str, Any]]:
    """What Ops was told of a request."""
    told: list[dict[str, Any]] = ops.get("/v1/notifications?limit=500").json()["data"]
    return [message for message in told if message["data"].get("request") == request]
