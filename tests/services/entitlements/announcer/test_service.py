"""What is due is said once: in time, late after an outage, and not at all where it is not true any more."""

from datetime import timedelta

import pytest

from tests.services.entitlements.desk import Desk
from tests.services.entitlements.fakes import DAY, MS, OPS, T0, SetClock

TYPES = ("grant.started", "grant.ending", "grant.ended", "grant.revoked")


def said(desk: Desk) -> dict[str, int]:
    """How often each was said."""
    return {type_: len(told) for type_ in TYPES if (told := desk.told(type_))}


def test_nothing_is_said_before_it_is_due(desk: Desk, clock: SetClock) -> None:
    desk.give("1d", duration_days=30)
    clock.at += 16 * DAY - MS
    assert desk.announce() == 0
    clock.at += MS
    assert (desk.announce(), desk.announce()) == (1, 0)
    assert desk.told("grant.ending")[0]["data"]["ends_at"] == "2026-06-03T12:00:00Z"


def test_every_threshold_and_the_end_are_said_once_each(desk: Desk, clock: SetClock) -> None:
    desk.give("1d", duration_days=60)
    for _ in range(61):
        clock.at += DAY
        desk.announce()
        desk.announce()
    assert said(desk) == {"grant.started": 1, "grant.ending": 3, "grant.ended": 1}


def test_a_scheduler_that_was_stopped_for_three_days_says_each_late_but_once(desk: Desk, clock: SetClock) -> None:
    desk.give("1h", duration_days=10)
    desk.give("1d", starts_at=T0 + 8 * DAY)
    clock.at += 6 * DAY
    assert desk.announce() == 0
    clock.at += 3 * DAY + MS
    assert (desk.announce(), desk.announce()) == (3, 0)
    assert said(desk) == {"grant.started": 2, "grant.ending": 2}


def test_what_begins_later_is_told_of_when_it_begins_and_not_when_it_is_given(desk: Desk, clock: SetClock) -> None:
    [grant] = desk.give("1d", starts_at=T0 + DAY)
    assert desk.told("grant.started") == []
    clock.at += DAY
    desk.announce()
    [told] = desk.told("grant.started")
    assert [g["id"] for g in told["data"]["grants"]] == [str(grant.id)]


@pytest.mark.parametrize(
    ("after_the_end", "state"), [(-MS, "active"), (timedelta(0), "trial-ended"), (MS, "trial-ended")]
)
def test_w6_a_trial_ends_on_time_with_the_announcer_stopped_for_a_day_and_is_told_once(
    desk: Desk, clock: SetClock, after_the_end: timedelta, state: str
) -> None:
    [grant] = desk.give("1d", trial=True)
    clock.at += 14 * DAY + after_the_end
    assert desk.may().state == state
    assert desk.told("grant.ended") == []
    clock.at += DAY
    desk.announce()
    desk.announce()
    [told] = desk.told("grant.ended")
    assert (told["data"]["id"], told["data"]["closed_at"]) == (str(grant.id), "2026-05-18T12:00:00Z")
    assert desk.grants.find(grant.id, OPS).closed_at == T0 + 14 * DAY


def test_what_was_renewed_or_closed_by_hand_is_not_said(desk: Desk, clock: SetClock) -> None:
    [renewed], [revoked] = desk.give("1d", duration_days=10), desk.give("1h", duration_days=10)
    desk.extend(renewed.id, duration_days=300)
    desk.revoke(revoked.id)
    before = said(desk)
    clock.at += 20 * DAY
    assert desk.announce() == 6
    assert said(desk) == before


def test_an_end_that_somebody_else_wrote_is_still_told(desk: Desk, clock: SetClock) -> None:
    [old] = desk.give("1d", duration_days=1)
    clock.at += 2 * DAY
    desk.give("1d", duration_days=300)
    desk.announce()
    assert [told["data"]["id"] for told in desk.told("grant.ended")] == [str(old.id)]


def test_a_scheduled_revocation_is_told_when_it_is_made_and_when_it_happens(desk: Desk, clock: SetClock) -> None:
    [grant] = desk.give("1d", duration_days=300)
    desk.revoke(grant.id, at=T0 + DAY)
    assert desk.told("grant.revoked")[0]["data"]["effective_at"] == "2026-05-05T12:00:00Z"
    clock.at += DAY
    desk.announce()
    desk.announce()
    [told] = desk.told("grant.ended")
    assert (told["data"]["status"], told["data"]["closed_at"]) == ("revoked", "2026-05-05T12:00:00Z")
    assert len(desk.told("grant.revoked")) == 1
