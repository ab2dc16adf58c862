"""The life of a request and of a grant over HTTP, with all that may become of them and who is told what."""

from datetime import UTC, datetime, timedelta
from typing import Any

import httpx

from tests.world import PATIENCE, until

REQUESTS = "/v1/access-requests"
REASON = {"reason": "Signed again."}


def _sent(answer: httpx.Response, status: int = 200) -> Any:
    assert answer.status_code == status, answer.text
    return answer.json()


def _told(person: httpx.Client, type_: str, about: str, *, seconds: float = PATIENCE) -> None:
    """Wait for a message of this type that names this id."""

    def found() -> bool:
        rows = person.get("/v1/notifications", params={"limit": 500}).json()["data"]
        return any(row["type"] == type_ and about in str(row["data"]) for row in rows)

    until(found, type_, seconds=seconds)


def _read(quant: httpx.Client, frequency: str) -> httpx.Response:
    return quant.get("/v1/datasets/BTC/prices", params={"frequency": frequency, "limit": 1})


def test_a_request_is_asked_about_answered_decided_in_part_and_the_rest_withdrawn(
    ops: httpx.Client, quant: httpx.Client
) -> None:
    wanted = {"dataset": "BTC", "frequencies": ["1h", "1d", "1mo"]}
    previewed = _sent(quant.post(f"{REQUESTS}/preview", json=wanted))
    assert quant.get(REQUESTS).json()["data"] == []
    request = _sent(quant.post(REQUESTS, json=wanted), 201)
    assert [item["frequency"] for item in previewed["items"]] == [item["frequency"] for item in request["items"]]
    one = f"{REQUESTS}/{request['id']}"

    _sent(ops.post(f"{one}/question", json={"text": "Which desk is this for?"}))
    _told(quant, "access.question", request["id"])
    asked = _sent(quant.get(one))
    assert asked["awaiting"] == "quant"
    assert {item["status"] for item in asked["items"]} == {"needs-info"}
    _sent(quant.post(f"{one}/answer", json={"text": "For the carry desk."}))
    _told(ops, "access.answered", request["id"])
    answered = _sent(ops.get(one))
    assert answered["awaiting"] == "ops"
    assert [said["text"] for said in answered["thread"]] == ["Which desk is this for?", "For the carry desk."]

    refused = {"frequency": "1h", "outcome": "refuse", "reason": "Hourly data needs a licence."}
    approved = {"frequency": "1d", "outcome": "approve", "duration_days": 30}
    _sent(ops.post(f"{one}/decisions", json={"decisions": [approved, refused]}))
    _sent(quant.post(f"{one}/withdraw", json={}))
    _told(ops, "access.withdrawn", request["id"])
    ended = _sent(quant.get(one))
    assert {item["frequency"]: item["status"] for item in ended["items"]} == {
        "1h": "refused",
        "1d": "approved",
        "1mo": "withdrawn",
    }
    for path, body in (("withdraw", {}), ("answer", {"text": "Again."})):
        assert quant.post(f"{one}/{path}", json=body).status_code == 409
    for frequency, code in {"1h": "refused", "1mo": "never-requested"}.items():
        denied = _read(quant, frequency)
        assert (denied.status_code, denied.json()["code"]) == (403, code)
    assert _read(quant, "1d").status_code == 200
    again = quant.post(REQUESTS, json={"dataset": "BTC", "frequencies": ["1h"]})
    assert (again.status_code, again.json()["code"]) == (409, "cooldown")


def test_a_grant_is_renewed_extended_planned_to_end_kept_and_given_back_without_a_gap(
    ops: httpx.Client, quant: httpx.Client
) -> None:
    account = quant.get("/v1/me").json()["account"]
    gift = {"account": account, "dataset": "BTC", "frequencies": ["1d"], "trial": True, "reason": "A first look"}
    [trial] = _sent(ops.post("/v1/grants", json=gift), 201)["data"]
    request = _sent(quant.post(REQUESTS, json={"dataset": "BTC", "frequencies": ["1d"]}), 201)
    decided = _sent(ops.post(f"{REQUESTS}/{request['id']}/decisions", json={"outcome": "approve", "duration_days": 30}))
    standard = _sent(quant.get(f"/v1/grants/{decided['items'][0]['grant']}"))
    assert (standard["kind"], standard["supersedes"]) == ("standard", trial["id"])
    assert standard["ends_at"] > trial["ends_at"]
    replaced = _sent(quant.get(f"/v1/grants/{trial['id']}"))
    assert (replaced["status"], replaced["closed_at"]) == ("superseded", standard["starts_at"])

    longer = _sent(ops.post(f"/v1/grants/{standard['id']}/extend", json={"duration_days": 90, **REASON}))
    _told(quant, "grant.started", longer["id"])
    at = (datetime.now(UTC) + timedelta(days=3)).isoformat()
    one = f"/v1/grants/{longer['id']}"
    planned = _sent(ops.post(f"{one}/revoke", json={"reason": "The licence ends.", "effective_at": at}))
    assert (planned["status"], planned["revokes_at"] is None) == ("active", False)
    assert _sent(ops.post(f"{one}/keep"))["revokes_at"] is None
    assert _read(quant, "1d").status_code == 200
    assert _sent(quant.post(f"{one}/relinquish"))["status"] == "relinquished"
    denied = _read(quant, "1d")
    assert (denied.status_code, denied.json()["code"]) == (403, "relinquished")

    started = {trial["id"]: trial["starts_at"], longer["id"]: longer["starts_at"]}
    for grant, as_of in started.items():
        then = _sent(ops.get("/v1/grants", params={"account": account, "as_of": as_of}))["data"]
        assert [row["id"] for row in then] == [grant]
    now = {"account": account, "as_of": datetime.now(UTC).isoformat()}
    assert _sent(ops.get("/v1/grants", params=now))["data"] == []


def test_a_blocked_account_reads_nothing_until_it_is_unblocked_and_keeps_what_it_holds(
    ops: httpx.Client, quant: httpx.Client
) -> None:
    account = quant.get("/v1/me").json()["account"]
    _sent(ops.post("/v1/grants", json={"account": account, "dataset": "BTC", "frequencies": ["1d"], **REASON}), 201)
    assert _read(quant, "1d").status_code == 200
    assert _sent(ops.post(f"/v1/accounts/{account}/block", json={"reason": "Unpaid"}))["standing"] == "blocked"
    denied = _read(quant, "1d")
    assert (denied.status_code, denied.json()["code"]) == (403, "blocked")
    assert _sent(ops.post(f"/v1/accounts/{account}/unblock", json={"reason": "Paid"}))["standing"] == "good"
    assert _read(quant, "1d").status_code == 200


def test_that_a_trial_ended_is_told_by_the_announcer_though_nobody_looked(
    ops: httpx.Client, quant: httpx.Client
) -> None:
    account, soon = quant.get("/v1/me").json()["account"], datetime.now(UTC) + timedelta(seconds=2)
    gift = {"account": account, "dataset": "BTC", "frequencies": ["1d"], "trial": True, "ends_at": soon.isoformat()}
    [trial] = _sent(ops.post("/v1/grants", json={**gift, **REASON}), 201)["data"]
    _told(quant, "grant.ended", trial["id"], seconds=2 * PATIENCE)  # the announcer looks every half a minute


def test_under_a_frequency_that_was_retired_market_caps_are_not_read_either(
    ops: httpx.Client, quant: httpx.Client
) -> None:
    account = quant.get("/v1/me").json()["account"]
    gift = {"account": account, "dataset": "BTC", "frequencies": ["1mo"], **REASON}
    _sent(ops.post("/v1/grants", json=gift), 201)
    for _ in range(3):
        _sent(quant.get("/v1/datasets/BTC/market-caps"))
    try:
        assert ops.delete("/v1/datasets/BTC/frequencies/1mo").status_code == 204
        caps, prices = quant.get("/v1/datasets/BTC/market-caps"), _read(quant, "1mo")
    finally:
        _sent(ops.patch("/v1/datasets/BTC", json={"frequencies": ["1h", "1d", "1mo"]}))
    assert (caps.status_code, caps.json()["code"], "market_cap_usd" in caps.text) == (403, "ended", False)
    assert (prices.status_code, prices.json()["code"]) == (410, "retired")
