"""Revoking later, taking that back, and giving back what one holds."""

from datetime import datetime
from uuid import uuid4

import pytest

from services.entitlements.grants.errors import GrantClosed, GrantNotFound, SelfDecision
from services.entitlements.grants.schemas import GrantsQuery
from shared.coherence.owner import NAMES, is_settling
from shared.errors import InvalidInput
from tests.services.entitlements.desk import Desk
from tests.services.entitlements.fakes import ADMIN, DAY, MS, OPS, OTHER, QUANT, T0, SetClock


def changed(desk: Desk) -> bool:
    """Whether a change was raised, or has to be waited out, since the last time one looked."""
    settling = is_settling(desk.session)
    desk.session.info.clear()
    return settling


def raised(desk: Desk) -> bool:
    """Whether a change was raised since the last time one looked."""
    names = desk.session.info.get(NAMES)
    desk.session.info.clear()
    return bool(names)


def test_a_scheduled_revocation_ends_access_on_its_millisecond_with_nobody_ending_it(
    desk: Desk, clock: SetClock
) -> None:
    [grant] = desk.give("1d")
    planned = desk.revoke(grant.id, "Not paid.", at=T0 + DAY)
    assert (planned.status, planned.revokes_at, planned.closed_at) == ("active", T0 + DAY, None)
    assert desk.may().until == T0 + DAY
    clock.at += DAY - MS
    assert desk.may().allowed
    clock.at += MS
    assert (desk.may().state, desk.grants.find(grant.id, OPS).closed_at) == ("revoked", T0 + DAY)
    refusal = desk.may().refusal
    assert refusal is not None
    assert (refusal.members["reason"], refusal.members["ended_at"]) == ("Not paid.", "2026-05-05T12:00:00Z")


def test_the_end_is_the_earlier_of_the_two(desk: Desk, clock: SetClock) -> None:
    [grant] = desk.give("1d", duration_days=1)
    desk.revoke(grant.id, at=T0 + 2 * DAY)
    clock.at += DAY
    assert desk.may().state == "ended"
    clock.at += 2 * DAY
    assert desk.may().state == "ended"
    refusal = desk.may().refusal
    assert refusal is not None
    assert refusal.members["reason"] is None


def test_the_list_knows_what_a_scheduled_revocation_did(desk: Desk) -> None:
    desk.session.info.clear()
    [past], [later] = desk.give("1d"), desk.give("1h")
    desk.revoke(past.id, at=T0 + MS)  # the list goes by the database's clock
    desk.revoke(later.id, at=T0 + 5000 * DAY)

    def having(status: str) -> list[str]:
        query = GrantsQuery.model_validate({"status": status})
        return [grant.frequency for grant in desk.grants.page(query, OPS, after=None, limit=10)]

    assert (having("revoked"), having("active")) == (["1d"], ["1h"])


def test_a_scheduled_revocation_raises_a_change_where_it_shortens_what_may_be_remembered(desk: Desk) -> None:
    [grant] = desk.give("1d", duration_days=2)
    assert not raised(desk)
    desk.revoke(grant.id, at=T0 + 3 * DAY)
    assert not raised(desk)
    desk.revoke(grant.id, at=T0 + DAY)
    assert raised(desk)


def test_putting_a_revocation_off_raises_no_change_but_waits_as_the_one_before_may_not_have_yet(desk: Desk) -> None:
    [grant] = desk.give("1d")
    desk.revoke(grant.id, at=T0 + DAY)
    changed(desk)
    desk.revoke(grant.id, at=T0 + 2 * DAY)
    assert desk.session.info.get(NAMES, {}) == {}
    assert changed(desk)


def test_scheduling_the_same_again_gives_the_first_result_and_waits_like_it(desk: Desk) -> None:
    [grant] = desk.give("1d")
    first = desk.revoke(grant.id, "Not paid.", at=T0 + DAY)
    before = desk.counts()
    changed(desk)
    assert desk.revoke(grant.id, "Again.", at=T0 + DAY) == first
    assert changed(desk)
    assert desk.counts() == before


def test_an_immediate_revocation_works_after_a_scheduled_one(desk: Desk, clock: SetClock) -> None:
    [grant] = desk.give("1d")
    desk.revoke(grant.id, "Later.", at=T0 + 2 * DAY)
    clock.at += DAY
    revoked = desk.revoke(grant.id, "Now.")
    assert (revoked.status, revoked.closed_at, revoked.reason) == ("revoked", clock.at, "Now.")
    assert not desk.may().allowed


def test_a_scheduled_revocation_that_happened_is_given_back_as_it_is(desk: Desk, clock: SetClock) -> None:
    [grant] = desk.give("1d")
    desk.revoke(grant.id, "First.", at=T0 + DAY)
    clock.at += 2 * DAY
    again = desk.revoke(grant.id, "Second.")
    assert (again.status, again.closed_at, again.reason) == ("revoked", T0 + DAY, "First.")


@pytest.mark.parametrize("at", [T0, T0 - DAY])
def test_a_revocation_cannot_be_scheduled_for_what_is_past(desk: Desk, at: object) -> None:
    [grant] = desk.give("1d")
    with pytest.raises(InvalidInput):
        desk.revoke(grant.id, at=at)  # type: ignore[arg-type]


def test_a_scheduled_revocation_can_be_cancelled_until_it_happens(desk: Desk, clock: SetClock) -> None:
    [grant] = desk.give("1d", duration_days=10)
    desk.revoke(grant.id, at=T0 + DAY)
    kept = desk.closings.keep(grant.id, OPS)
    assert (kept.status, kept.revokes_at, kept.reason) == ("active", None, "Signed")
    before = desk.counts()
    assert desk.closings.keep(grant.id, OPS) == kept
    assert desk.counts() == before
    assert len(desk.told("grant.kept")) == len(desk.audited("grant.kept")) == 1
    desk.revoke(grant.id, at=T0 + DAY)
    clock.at += DAY
    with pytest.raises(GrantClosed):
        desk.closings.keep(grant.id, OPS)


def test_nobody_keeps_their_own_grant(desk: Desk) -> None:
    [grant] = desk.give("1d", to=OPS, by=ADMIN)
    with pytest.raises(SelfDecision):
        desk.closings.keep(grant.id, OPS)


@pytest.mark.parametrize("at", [None, T0 + 2 * DAY])
def test_nobody_revokes_their_own_grant_nor_puts_off_its_revocation(desk: Desk, at: datetime | None) -> None:
    [grant] = desk.give("1d", to=OPS, by=ADMIN)
    planned = desk.revoke(grant.id, by=ADMIN, at=T0 + DAY)
    with pytest.raises(SelfDecision):
        desk.revoke(grant.id, "Not yet.", by=OPS, at=at)
    assert desk.grants.find(grant.id, ADMIN) == planned
    assert desk.closings.relinquish(grant.id, OPS).status == "relinquished"


def test_what_is_given_back_is_over_at_once_and_the_same_when_given_back_again(desk: Desk, clock: SetClock) -> None:
    [grant] = desk.give("1d")
    changed(desk)
    first = desk.closings.relinquish(grant.id, QUANT)
    assert changed(desk)
    assert (first.status, first.closed_at) == ("relinquished", T0)
    assert desk.may().state == "relinquished"
    before = desk.counts()
    clock.at += DAY
    assert desk.closings.relinquish(grant.id, QUANT) == first
    assert changed(desk)
    assert desk.counts() == before


@pytest.mark.parametrize("by", [OTHER, OPS])
def test_another_s_grant_cannot_be_given_back_not_even_by_ops(desk: Desk, by: object) -> None:
    [grant] = desk.give("1d")
    with pytest.raises(GrantNotFound):
        desk.closings.relinquish(grant.id, by)  # type: ignore[arg-type]
    with pytest.raises(GrantNotFound):
        desk.closings.relinquish(uuid4(), QUANT)


def test_what_is_over_cannot_be_given_back(desk: Desk, clock: SetClock) -> None:
    [grant] = desk.give("1d", duration_days=1)
    clock.at += DAY
    with pytest.raises(GrantClosed):
        desk.closings.relinquish(grant.id, QUANT)
