"""Giving into a cell that is held, and revoking once and again."""

from uuid import uuid4

import pytest

from services.entitlements.grants.errors import CellHeld, GrantClosed, GrantNotFound
from tests.services.entitlements.desk import Desk
from tests.services.entitlements.fakes import ADMIN, DAY, MS, OPS, OTHER, QUANT, T0, SetClock


def test_a_new_grant_takes_the_place_of_a_running_one_without_a_gap(desk: Desk, clock: SetClock) -> None:
    [old] = desk.give("1d")
    clock.at += DAY
    [new] = desk.give("1d")
    closed = desk.grants.find(old.id, OPS)
    assert (closed.status, closed.closed_at) == ("superseded", clock.at)
    assert (new.status, new.starts_at, new.supersedes) == ("active", clock.at, old.id)


def test_a_new_grant_takes_the_place_of_a_scheduled_one(desk: Desk) -> None:
    [old] = desk.give("1d", starts_at=T0 + DAY)
    [new] = desk.give("1d")
    assert (desk.grants.find(old.id, OPS).status, new.status) == ("superseded", "active")


def test_what_ran_out_is_closed_as_ended_at_its_end_and_not_superseded(desk: Desk, clock: SetClock) -> None:
    [old] = desk.give("1d", duration_days=1)
    clock.at += 2 * DAY
    [new] = desk.give("1d")
    closed = desk.grants.find(old.id, OPS)
    assert (closed.status, closed.closed_at, new.supersedes) == ("ended", T0 + DAY, None)


def test_a_later_grant_cannot_stand_beside_a_running_one(desk: Desk) -> None:
    [running] = desk.give("1d")
    before = desk.counts()
    with pytest.raises(CellHeld) as refused, desk.session.begin_nested():
        desk.give("1h", "1d", starts_at=T0 + DAY)
    assert refused.value.members == {"grant": str(running.id)}
    assert desk.counts() == before


def test_a_later_grant_may_follow_one_that_ran_out(desk: Desk, clock: SetClock) -> None:
    desk.give("1d", duration_days=1)
    clock.at += DAY
    [later] = desk.give("1d", starts_at=clock.at + DAY)
    assert later.status == "scheduled"


def test_a_revocation_is_written_recorded_and_told_once(desk: Desk, clock: SetClock) -> None:
    [grant] = desk.give("1d")
    clock.at += DAY
    revoked = desk.revoke(grant.id, "Not paid by Ada.")
    assert (revoked.status, revoked.closed_at, revoked.reason) == ("revoked", clock.at, "Not paid by Ada.")
    [row] = desk.audited("grant.revoked")
    assert (row.actor, row.subject) == (str(OPS.account), str(grant.id))
    assert "Ada" not in str(row.data)
    [told] = desk.told("grant.revoked")
    assert (told["recipient"], told["data"]["reason"]) == (str(QUANT.account), "Not paid by Ada.")


def test_revoking_again_gives_the_first_result_and_changes_nothing(desk: Desk, clock: SetClock) -> None:
    [grant] = desk.give("1d")
    first = desk.revoke(grant.id, "Not paid.")
    before = desk.counts()
    clock.at += DAY
    assert desk.revoke(grant.id, "Another reason.", by=ADMIN) == first
    assert desk.counts() == before


def test_a_grant_that_has_not_begun_can_be_revoked(desk: Desk) -> None:
    [grant] = desk.give("1d", starts_at=T0 + DAY)
    assert desk.revoke(grant.id).status == "revoked"
    assert desk.may().state == "revoked"


def test_a_grant_that_is_over_cannot_be_revoked(desk: Desk, clock: SetClock) -> None:
    [ended] = desk.give("1h", duration_days=1)
    [superseded] = desk.give("1d")
    desk.give("1d")
    clock.at += DAY
    before = desk.counts()
    for grant, status, at in (
        (ended, "ended", "2026-05-05T12:00:00Z"),
        (superseded, "superseded", "2026-05-04T12:00:00Z"),
    ):
        with pytest.raises(GrantClosed) as refused, desk.session.begin_nested():
            desk.revoke(grant.id)
        assert refused.value.members == {"grant_status": status, "closed_at": at}
    assert desk.counts() == before


def test_a_grant_can_be_revoked_up_to_its_last_millisecond(desk: Desk, clock: SetClock) -> None:
    [grant] = desk.give("1d", duration_days=1)
    clock.at += DAY - MS
    assert desk.revoke(grant.id).status == "revoked"


def test_what_does_not_exist_is_not_found(desk: Desk) -> None:
    with pytest.raises(GrantNotFound):
        desk.revoke(uuid4())


def test_a_grant_is_seen_by_its_account_and_by_ops(desk: Desk) -> None:
    [grant] = desk.give("1d")
    assert desk.grants.find(grant.id, QUANT).id == grant.id
    assert desk.grants.find(grant.id, ADMIN) == grant
    assert not hasattr(desk.grants.find(grant.id, QUANT), "account_name")
    with pytest.raises(GrantNotFound):
        desk.grants.find(grant.id, OTHER)
