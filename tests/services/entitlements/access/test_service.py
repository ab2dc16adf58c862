"""Reads at the edges of a grant, and what those are told who may not read."""

from datetime import timedelta
from typing import Any

import pytest

from services.entitlements.access.schemas import AccessOut, AccessQuery
from services.entitlements.requests.errors import Cooldown
from services.entitlements.retirements.schemas import Retiring
from tests.services.entitlements.desk import Desk
from tests.services.entitlements.fakes import DAY, MS, OTHER, QUANT, T0, SetClock


@pytest.mark.parametrize(
    ("after_the_end", "state"),
    [(-MS, "active"), (timedelta(0), "trial-ended"), (MS, "trial-ended")],
)
def test_a_trial_is_read_to_the_last_millisecond_and_nobody_has_to_end_it(
    desk: Desk, clock: SetClock, after_the_end: timedelta, state: str
) -> None:
    request = desk.ask("1h", trial=True)
    clock.at += DAY
    desk.decide(request.id, outcome="approve")
    clock.at += 14 * DAY + after_the_end
    assert desk.may("1h").state == state


def test_an_approval_allows_the_very_next_read(desk: Desk) -> None:
    request = desk.ask("1d")
    assert not desk.may().allowed
    desk.decide(request.id, outcome="approve")
    access = desk.may()
    assert (access.allowed, access.until, access.refusal) == (True, T0 + 365 * DAY, None)


def test_a_revocation_refuses_the_very_next_read(desk: Desk) -> None:
    [grant] = desk.give("1d")
    desk.revoke(grant.id)
    assert not desk.may().allowed


def test_access_is_to_one_cell_of_one_account(desk: Desk) -> None:
    desk.give("1d")
    assert [desk.may("1h").state, desk.may(who=OTHER).state] == ["never-requested", "never-requested"]


def test_without_a_frequency_any_running_grant_on_the_dataset_allows(desk: Desk, clock: SetClock) -> None:
    assert not desk.may(None).allowed
    desk.give("1h", duration_days=1)
    assert desk.may(None).allowed
    clock.at += DAY
    assert not desk.may(None).allowed


def of_any(desk: Desk, *offered: str) -> AccessOut:
    """What is answered about a dataset of which so much is offered."""
    body = {"account": QUANT.account_id, "dataset": "BTC", "offered": offered}
    return desk.access.may(AccessQuery.model_validate(body))


def test_a_grant_on_what_is_not_offered_any_more_allows_nothing_before_its_retirement_is_followed(
    desk: Desk, clock: SetClock
) -> None:
    desk.give("1h")
    told = [(of_any(desk, *offered).state, of_any(desk, *offered).refusal) for offered in ((), ("1d",))]
    assert [state for state, _ in told] == ["ended", "ended"]
    assert of_any(desk, "1h", "1d").allowed
    assert desk.may("1h").allowed  # which pricing does not ask, as it answers 410
    desk.retirements.follow(Retiring(symbol="BTC", retired={"1h": clock.at}))
    assert [(of_any(desk, *offered).state, of_any(desk, *offered).refusal) for offered in ((), ("1d",))] == told
    desk.give("1d")
    assert of_any(desk, "1d").allowed


def test_what_waits_on_what_is_offered_says_so_beside_a_grant_on_what_is_not(desk: Desk) -> None:
    desk.give("1h")
    desk.ask("1d")
    assert of_any(desk, "1d").state == "pending"


def refusal(desk: Desk, frequency: str = "1d") -> dict[str, Any]:
    """What the reader is told."""
    told = desk.may(frequency).refusal
    assert told is not None
    assert told.status == 403
    return {"code": told.code, **told.members}


def test_a_refusal_says_what_is_held_what_stands_and_what_to_do(desk: Desk) -> None:
    desk.give("1mo", "1h")
    assert refusal(desk) == {
        "code": "never-requested",
        "dataset": "BTC",
        "frequency": "1d",
        "granted_frequencies": ["1h", "1mo"],
        "request": None,
        "reason": None,
        "starts_at": None,
        "ended_at": None,
        "reapply_after": None,
        "remedy": {
            "method": "POST",
            "href": "/v1/access-requests",
            "body": {"dataset": "BTC", "frequencies": ["1d"]},
        },
    }


def test_who_waits_is_given_no_remedy(desk: Desk) -> None:
    request = desk.ask("1d")
    assert refusal(desk).items() >= {"code": "pending", "request": str(request.id), "remedy": None}.items()


def test_what_begins_later_says_when(desk: Desk) -> None:
    request = desk.ask("1d")
    desk.decide(request.id, outcome="approve", starts_at=T0 + DAY)
    told = refusal(desk)
    assert told["code"] == "scheduled"
    assert (told["starts_at"], told["remedy"]) == ("2026-05-05T12:00:00Z", None)


def test_a_revoked_reader_is_told_why_and_since_when(desk: Desk) -> None:
    [grant] = desk.give("1d")
    desk.revoke(grant.id, "Not paid.")
    told = refusal(desk)
    assert (told["code"], told["reason"], told["ended_at"]) == ("revoked", "Not paid.", "2026-05-04T12:00:00Z")


def test_a_refused_reader_waits_a_day_and_then_the_remedy_works(desk: Desk, clock: SetClock) -> None:
    desk.refuse(desk.ask("1d").id)
    told = refusal(desk)
    assert (told["code"], told["reason"], told["remedy"]) == ("refused", "No licence.", None)
    assert told["reapply_after"] == "2026-05-05T12:00:00Z"
    clock.at += DAY - MS
    with pytest.raises(Cooldown):
        desk.ask("1d")
    clock.at += MS
    body = refusal(desk)["remedy"]["body"]
    assert desk.ask(*body["frequencies"], dataset=body["dataset"]).status == "pending"


def test_the_remedy_after_a_revocation_works_even_where_a_refusal_went_before(desk: Desk, clock: SetClock) -> None:
    desk.refuse(desk.ask("1d").id)
    clock.at += MS
    [grant] = desk.give("1d")
    clock.at += MS
    desk.revoke(grant.id)
    assert refusal(desk)["remedy"] is not None
    assert desk.ask("1d").status == "pending"
