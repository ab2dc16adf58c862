"""What is due is said once: in time, late after an outage, and not at all where it is not true any more."""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest

from services.entitlements.grants.schemas import GrantOut
from services.entitlements.retirements.schemas import Retiring
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


Move = Callable[[Desk, GrantOut], object]
THIRTY: dict[str, Any] = {"duration_days": 30}


def revoke_on(day: int) -> Move:
    """Plan its revocation for a day."""
    return lambda desk, grant: desk.revoke(grant.id, at=T0 + day * DAY)


def retire_on(day: int | None) -> Move:
    """Have its frequency retired on a day, or not any more."""
    retired = {} if day is None else {"1d": T0 + day * DAY}
    return lambda desk, _grant: desk.retirements.follow(Retiring(symbol="BTC", retired=retired))


def keep(desk: Desk, grant: GrantOut) -> None:
    """Call its revocation off."""
    desk.closings.keep(grant.id, OPS)


def day_of(at: datetime | str) -> int:
    """How many days after the beginning that is."""
    return (datetime.fromisoformat(str(at)) - T0).days


@pytest.mark.parametrize(
    ("terms", "moves", "told"),
    [
        (THIRTY, {}, [(16, 30), (27, 30), (29, 30)]),
        (THIRTY, {10: revoke_on(20)}, [(17, 20), (19, 20)]),
        (THIRTY, {10: revoke_on(20), 11: revoke_on(25)}, [(22, 25), (24, 25)]),
        (THIRTY, {10: revoke_on(20), 18: keep}, [(17, 20), (27, 30), (29, 30)]),
        (THIRTY, {10: revoke_on(20), 12: keep}, [(16, 30), (27, 30), (29, 30)]),
        (THIRTY, {17: revoke_on(20), 18: keep}, [(16, 30), (27, 30), (29, 30)]),
        (THIRTY, {10: revoke_on(40)}, [(16, 30), (27, 30), (29, 30)]),
        (THIRTY, {10: retire_on(20), 12: revoke_on(25)}, [(17, 20), (19, 20)]),
        (THIRTY, {10: retire_on(20), 12: retire_on(None)}, [(16, 30), (27, 30), (29, 30)]),
        (THIRTY, {10: retire_on(20), 18: retire_on(None)}, [(17, 20), (27, 30), (29, 30)]),
        (THIRTY, {10: retire_on(10)}, []),
        ({"no_end": True}, {10: revoke_on(40)}, [(26, 40), (37, 40), (39, 40)]),
        ({"no_end": True}, {10: revoke_on(40), 30: keep}, [(26, 40)]),
        ({"duration_days": 300}, {100: revoke_on(102)}, [(101, 102)]),
        ({"starts_at": T0 + 9 * DAY, **THIRTY}, {1: revoke_on(5)}, []),
    ],
)
def test_an_end_is_told_of_beforehand_as_it_stands_and_once(
    desk: Desk, clock: SetClock, terms: dict[str, Any], moves: dict[int, Move], told: list[tuple[int, int]]
) -> None:
    """Day by day, each twice; what is told on which day, of an end on which day."""
    [grant] = desk.give("1d", **terms)
    found: list[tuple[int, int]] = []
    for day in range(120):
        clock.at = T0 + day * DAY
        if day in moves:
            moves[day](desk, grant)
        before = len(desk.told("grant.ending"))
        desk.announce()
        desk.announce()
        found += [(day, day_of(message["data"]["ends_at"])) for message in desk.told("grant.ending")[before:]]
    assert found == told


def test_what_is_late_is_still_told_where_something_else_than_the_end_was_moved(desk: Desk, clock: SetClock) -> None:
    [grant] = desk.give("1d", **THIRTY)
    clock.at += 17 * DAY
    revoke_on(40)(desk, grant)
    desk.announce()
    assert [day_of(told["data"]["ends_at"]) for told in desk.told("grant.ending")] == [30]


@pytest.mark.parametrize("end", [revoke_on(20), retire_on(20), None])
def test_what_was_due_while_the_scheduler_was_stopped_is_told_once_however_it_ended(
    desk: Desk, clock: SetClock, end: Move | None
) -> None:
    [grant] = desk.give("1d", starts_at=T0 + DAY, duration_days=19 if end is None else 300)
    if end is not None:
        end(desk, grant)
    clock.at = T0 + 21 * DAY
    for _ in range(2):
        desk.announce()
    told = said(desk)
    assert [told[type_] for type_ in ("grant.started", "grant.ending", "grant.ended")] == [1, 2, 1]


def test_what_is_late_is_still_told_where_a_revocation_was_planned_and_called_off(desk: Desk, clock: SetClock) -> None:
    [grant] = desk.give("1d", duration_days=60)
    clock.at += 59 * DAY
    desk.revoke(grant.id, at=clock.at + DAY / 2)
    keep(desk, grant)
    desk.announce()
    assert [day_of(told["data"]["ends_at"]) for told in desk.told("grant.ending")] == [60, 60, 60]


def test_what_was_late_of_an_end_that_is_far_again_is_told_in_its_time(desk: Desk, clock: SetClock) -> None:
    [grant] = desk.give("1d", duration_days=300)
    revoke_on(100)(desk, grant)
    clock.at += 98 * DAY
    keep(desk, grant)
    assert desk.announce() == 0
    clock.at = T0 + 300 * DAY - MS
    desk.announce()
    assert [day_of(told["data"]["ends_at"]) for told in desk.told("grant.ending")] == [300, 300, 300]


def test_a_grace_to_come_moves_the_end_but_not_what_is_told_of_it_beforehand(desk: Desk, clock: SetClock) -> None:
    desk.give("1d", duration_days=10, grace_days=5)
    clock.at += 8 * DAY
    desk.announce()
    desk.ask("1d")
    clock.at += DAY
    desk.announce()
    assert [day_of(told["data"]["ends_at"]) for told in desk.told("grant.ending")] == [10, 10]
    clock.at += 2 * DAY
    desk.announce()
    assert said(desk) == {"grant.started": 1, "grant.ending": 2}


def test_what_is_extended_before_its_retirement_is_told_of_that(desk: Desk, clock: SetClock) -> None:
    [grant] = desk.give("1d", **THIRTY)
    retire_on(20)(desk, grant)
    desk.extend(grant.id, duration_days=300)
    for _ in range(20):
        clock.at += DAY
        desk.announce()
    assert [day_of(told["data"]["ends_at"]) for told in desk.told("grant.ending")] == [20, 20]
    assert [told["data"]["status"] for told in desk.told("grant.ended")] == ["retired"]
