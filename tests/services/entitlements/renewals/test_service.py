"""Extending: no gap, never shorter, and the grace while a renewal is undecided."""

from collections.abc import Callable
from typing import Any

import pytest

from services.entitlements.accounts.errors import AccountBlocked
from services.entitlements.grants.entities import Grant
from services.entitlements.grants.errors import GrantClosed, SelfDecision
from services.entitlements.retirements.schemas import Retiring
from shared.coherence.owner import is_settling
from shared.errors import InvalidInput
from tests.services.entitlements.desk import Desk
from tests.services.entitlements.fakes import ADMIN, DAY, MS, OPS, T0, SetClock


def test_an_extension_takes_the_place_of_the_old_grant_without_a_gap(desk: Desk, clock: SetClock) -> None:
    [old] = desk.give("1d", duration_days=10)
    clock.at += 5 * DAY
    new = desk.extend(old.id, duration_days=20)
    assert (new.starts_at, new.ends_at, new.origin, new.supersedes) == (clock.at, T0 + 25 * DAY, "renewal", old.id)
    closed = desk.grants.find(old.id, OPS)
    assert (closed.status, closed.closed_at) == ("superseded", new.starts_at)
    assert desk.may().grant == new.id
    assert [row.subject for row in desk.audited("grant.extended")] == [str(new.id)]


@pytest.mark.parametrize("wanted", [{"duration_days": 1}, {"ends_at": T0 + DAY}])
def test_it_never_becomes_shorter(desk: Desk, wanted: dict[str, Any]) -> None:
    [old] = desk.give("1d", duration_days=10)
    assert desk.extend(old.id, **wanted).ends_at == old.ends_at


def test_what_has_no_end_keeps_none(desk: Desk) -> None:
    [old] = desk.give("1d", no_end=True)
    assert desk.extend(old.id, duration_days=10).ends_at is None
    [other] = desk.give("1h", duration_days=10)
    assert desk.extend(other.id, no_end=True).ends_at is None


def test_a_trial_stays_a_trial_of_at_most_fourteen_days(desk: Desk, clock: SetClock) -> None:
    [old] = desk.give("1d", trial=True, duration_days=7)
    clock.at += 5 * DAY
    for wanted in ({"duration_days": 15}, {"no_end": True}, {"duration_days": 14, "grace_days": 1}):
        with pytest.raises(InvalidInput), desk.session.begin_nested():
            desk.extend(old.id, **wanted)
    new = desk.extend(old.id, duration_days=14)
    assert (new.kind, new.ends_at) == ("trial", T0 + 19 * DAY)


def test_a_term_beyond_policy_is_refused(desk: Desk) -> None:
    [old] = desk.give("1d")
    with pytest.raises(InvalidInput):
        desk.extend(old.id, ends_at=T0 + 731 * DAY)


def test_what_is_over_is_not_extended(desk: Desk, clock: SetClock) -> None:
    [ended], [revoked] = desk.give("1d", duration_days=1), desk.give("1h")
    desk.revoke(revoked.id)
    clock.at += DAY
    for grant in (ended, revoked):
        with pytest.raises(GrantClosed):
            desk.extend(grant.id, duration_days=10)


def test_nobody_extends_their_own(desk: Desk) -> None:
    [grant] = desk.give("1d", to=OPS, by=ADMIN)
    with pytest.raises(SelfDecision):
        desk.extend(grant.id, duration_days=10)


def test_a_blocked_account_is_given_nothing(desk: Desk) -> None:
    [grant] = desk.give("1d")
    request = desk.ask("1h")
    desk.block()
    with pytest.raises(AccountBlocked):
        desk.extend(grant.id, duration_days=10)
    with pytest.raises(AccountBlocked):
        desk.give("1mo")
    with pytest.raises(AccountBlocked):
        desk.decide(request.id, outcome="approve")


def test_what_has_not_begun_keeps_its_start(desk: Desk) -> None:
    [old] = desk.give("1d", starts_at=T0 + DAY, duration_days=1)
    new = desk.extend(old.id, duration_days=5)
    assert (new.status, new.starts_at, new.ends_at) == ("scheduled", T0 + DAY, T0 + 6 * DAY)


def test_that_it_started_is_told_once_it_has(desk: Desk, clock: SetClock) -> None:
    [old] = desk.give("1d", starts_at=T0 + DAY, duration_days=1)
    new = desk.extend(old.id, duration_days=5)
    desk.announce()
    assert desk.told("grant.started") == []
    clock.at += DAY
    desk.announce()
    [told] = desk.told("grant.started")
    assert [(g["id"], g["ends_at"]) for g in told["data"]["grants"]] == [(str(new.id), "2026-05-10T12:00:00Z")]
    newer = desk.extend(new.id, duration_days=30)
    assert [g["id"] for g in desk.told("grant.started")[1]["data"]["grants"]] == [str(newer.id)]


def graced(desk: Desk, clock: SetClock, *, days: int = 3) -> Grant:
    """A grant of ten days whose renewal is undecided on its last day, as asking for it writes."""
    [given] = desk.give("1d", duration_days=10, grace_days=days)
    clock.at = T0 + 9 * DAY
    grant = desk.session.get_one(Grant, given.id)
    account, lapse_at = grant.account, clock.at + 14 * DAY
    desk.grants._grants.begin_grace(account, "BTC", ["1d"], lapse_at=lapse_at, now=clock.at)
    return grant


def test_access_goes_on_for_the_grace_and_says_so(desk: Desk, clock: SetClock) -> None:
    graced(desk, clock)
    assert (desk.may().until, desk.may().grace_until) == (T0 + 10 * DAY, None)
    clock.at = T0 + 10 * DAY
    access = desk.may()
    assert (access.allowed, access.until, access.grace_until) == (True, T0 + 13 * DAY, T0 + 13 * DAY)
    clock.at = T0 + 13 * DAY - MS
    assert desk.may().allowed
    clock.at += MS
    assert desk.may().state == "ended"


def test_a_grace_cut_short_is_over_at_once_and_spent(desk: Desk, clock: SetClock) -> None:
    grant = graced(desk, clock)
    clock.at = T0 + 11 * DAY
    assert desk.may().allowed
    desk.session.info.clear()
    desk.grants._grants.end_grace(grant.account, "BTC", "1d", clock.at)
    assert is_settling(desk.session)
    assert desk.may().state == "ended"
    desk.announce()
    assert [told["data"]["closed_at"] for told in desk.told("grant.ended")] == ["2026-05-15T12:00:00Z"]


@pytest.mark.parametrize(("days", "waited_out"), [(1, True), (5, False)])
def test_an_extension_that_ends_before_the_grace_is_waited_out(
    desk: Desk, clock: SetClock, days: int, waited_out: bool
) -> None:
    grant = graced(desk, clock)
    clock.at = T0 + 11 * DAY
    assert desk.may().until == T0 + 13 * DAY
    desk.session.info.clear()
    desk.extend(grant.id, duration_days=days)
    assert is_settling(desk.session) is waited_out
    assert desk.may().until == T0 + (11 + days) * DAY


@pytest.mark.parametrize("act", ["refuse", "withdraw"])
def test_a_renewal_asked_for_keeps_access_going_until_it_is_refused_or_withdrawn(
    desk: Desk, clock: SetClock, act: str
) -> None:
    [given] = desk.give("1d", duration_days=10, grace_days=3)
    clock.at = T0 + 9 * DAY
    request = desk.ask("1d")
    clock.at = T0 + 11 * DAY
    assert (desk.may().allowed, desk.may().grace_until) == (True, T0 + 13 * DAY)
    desk.session.info.clear()
    getattr(desk, act)(request.id)
    assert is_settling(desk.session)
    assert not desk.may().allowed
    closed = desk.grants.find(given.id, OPS)
    assert (closed.status, closed.closed_at) == ("ended", clock.at)


def test_a_renewal_asked_for_keeps_access_going_until_it_lapses(desk: Desk, clock: SetClock) -> None:
    desk.give("1d", duration_days=10, grace_days=30)
    clock.at = T0 + 9 * DAY
    request = desk.ask("1d")
    clock.at = request.lapse_at - MS
    assert (desk.may().allowed, desk.may().grace_until) == (True, request.lapse_at)
    clock.at += MS
    assert not desk.may().allowed
    desk.requests.write_due_lapses(clock.at, 10)
    assert not desk.may().allowed


END = T0 + 11 * DAY
SHORTENED = {
    "revoked": lambda desk, grant: desk.revoke(grant.id, at=END),
    "extended": lambda desk, grant: desk.extend(grant.id, ends_at=END),
    "given": lambda desk, grant: desk.give("1d", ends_at=END),  # noqa: ARG005 - as the others
    "retired": lambda desk, grant: desk.retirements.follow(Retiring(symbol=grant.dataset, retired={"1d": END})),
}


@pytest.mark.parametrize("shorten", SHORTENED.values(), ids=SHORTENED)
def test_what_cuts_a_grace_is_waited_out_also_if_decided_before_it_began(
    desk: Desk, clock: SetClock, shorten: Callable[[Desk, Grant], object]
) -> None:
    grant = graced(desk, clock)
    clock.at = T0 + 10 * DAY - MS  # by the commit it may have begun, and been answered with
    desk.session.info.clear()
    shorten(desk, grant)
    assert is_settling(desk.session)
    clock.at = T0 + 10 * DAY
    assert desk.may().until == END


def test_a_grace_is_used_once(desk: Desk, clock: SetClock) -> None:
    grant = graced(desk, clock)
    desk.grants._grants.end_grace(grant.account, "BTC", "1d", clock.at)
    desk.grants._grants.begin_grace(grant.account, "BTC", ["1d"], lapse_at=clock.at + 14 * DAY, now=clock.at)
    clock.at = T0 + 10 * DAY
    assert desk.may().state == "ended"


def test_a_grace_ends_with_its_request_s_lapse(desk: Desk, clock: SetClock) -> None:
    [given] = desk.give("1d", duration_days=10, grace_days=30)
    clock.at = T0 + 9 * DAY
    lapse_at = clock.at + 14 * DAY
    desk.grants._grants.begin_grace(given.account, "BTC", ["1d"], lapse_at=lapse_at, now=clock.at)
    clock.at = lapse_at - MS
    assert desk.may().allowed
    clock.at = lapse_at
    assert desk.may().state == "ended"


def test_without_a_grace_or_after_the_end_nothing_goes_on(desk: Desk, clock: SetClock) -> None:
    graced(desk, clock, days=0)
    clock.at = T0 + 10 * DAY
    assert desk.may().state == "ended"
    [late] = desk.give("1h", duration_days=1, grace_days=3)
    clock.at += DAY
    desk.grants._grants.begin_grace(late.account, "BTC", ["1h"], lapse_at=clock.at + DAY, now=clock.at)
    assert desk.may("1h").state == "ended"


def test_a_trial_has_no_grace(desk: Desk) -> None:
    with pytest.raises(InvalidInput):
        desk.give("1d", trial=True, grace_days=1)


def test_an_extension_within_the_grace_leaves_no_gap_and_its_end_is_not_told(desk: Desk, clock: SetClock) -> None:
    grant = graced(desk, clock)
    clock.at = T0 + 11 * DAY
    desk.announce()
    new = desk.extend(grant.id, duration_days=30)
    closed = desk.grants.find(grant.id, OPS)
    assert (closed.status, closed.closed_at) == ("superseded", new.starts_at)
    clock.at = T0 + 14 * DAY
    desk.announce()
    assert desk.told("grant.ended") == []
