"""The trails over HTTP: one's own and the neighbours', in pages, and verified."""

from uuid import uuid4

from tests.services.entitlements.conftest import Http
from tests.services.entitlements.fakes import OPS
from tests.services.entitlements.refusals import pointers

GIVE = {"dataset": "BTC", "frequencies": ["1h", "1d", "1mo"], "reason": "Signed"}


def test_what_was_done_is_listed_in_pages_and_filtered(http: Http) -> None:
    given = http("POST", "/v1/grants", json={**GIVE, "account": str(uuid4())}).json()["data"]
    whole = http("GET", f"/v1/audit-events?actor={OPS.account}").json()["data"]
    assert {event["subject"] for event in whole} >= {grant["id"] for grant in given}
    assert all(event["actor"] == str(OPS.account) for event in whole)
    [one] = http("GET", f"/v1/audit-events?subject={given[0]['id']}").json()["data"]
    assert (one["action"], one["data"]["frequencies"]) == ("grant.given", ["1h"])

    after = f"/v1/audit-events?after={one['id']}&limit=1"
    first = http("GET", after).json()
    second = http("GET", f"{after}&cursor={first['next_cursor']}").json()
    assert [event["id"] for event in first["data"] + second["data"]] == [one["id"] + 1, one["id"] + 2]
    later = http("GET", "/v1/audit-events", params={"after": one["at"]}).json()["data"]
    assert one["id"] not in [event["id"] for event in later]
    assert [event["id"] for event in later][:2] == [one["id"] + 1, one["id"] + 2]


def test_the_neighbours_trails_are_read_here_too(http: Http) -> None:
    for trail, subject in (("catalog", "BTC"), ("gateway", "4fK2mZq81x")):
        listed = http("GET", f"/v1/audit-events?trail={trail}&subject={subject}").json()
        assert [event["subject"] for event in listed["data"]] == [subject]
        assert http("GET", f"/v1/audit-events/verify?trail={trail}").json()["events"] == 1


def test_a_trail_that_nobody_touched_is_verified(http: Http) -> None:
    told = http("GET", "/v1/audit-events/verify").json()
    missed = http("GET", f"/v1/audit-events/verify?head={'0' * 64}").json()
    assert (missed["ok"], missed["broken"]["why"]) == (False, "head-missing")
    assert http("GET", "/v1/audit-events/verify?head=x").status_code == 422
    assert (told["ok"], told["broken"]) == (True, None)


def test_nonsense_is_refused(http: Http) -> None:
    for query, pointer in (("after=x", "/after"), ("trail=pricing", "/trail"), ("actor=%00", "/actor")):
        assert any(found.startswith(pointer) for found in pointers(http("GET", f"/v1/audit-events?{query}")))
