"""Taking back what was asked for."""

from uuid import uuid4

import pytest

from services.entitlements.requests.errors import AlreadyDecided, NotAskedFor, RequestNotFound
from services.entitlements.requests.schemas import RequestOut
from services.entitlements.withdrawals.errors import NothingToWithdraw
from shared.coherence.owner import is_settling
from tests.services.entitlements.desk import Desk
from tests.services.entitlements.fakes import ADMIN, DAY, MS, OPS, OTHER, QUANT, SetClock


def states(request: RequestOut) -> dict[str, str]:
    return {item.frequency: item.status for item in request.items}


def test_what_is_undecided_is_taken_back_and_may_be_asked_for_again_at_once(desk: Desk, clock: SetClock) -> None:
    request = desk.ask("1h", "1d", "1mo")
    desk.question(request.id, "1d")
    desk.decide(request.id, decisions=[{"frequency": "1mo", "outcome": "approve"}])
    clock.at += DAY
    withdrawn = desk.withdraw(request.id)
    assert states(withdrawn) == {"1h": "withdrawn", "1d": "withdrawn", "1mo": "approved"}
    assert {item.decided_at for item in withdrawn.items if item.status == "withdrawn"} == {clock.at}
    assert desk.may("1d").state == "never-requested"
    assert desk.ask("1h", "1d").skipped == []


def test_only_what_is_named_is_taken_back(desk: Desk) -> None:
    request = desk.ask("1h", "1d")
    assert states(desk.withdraw(request.id, "1h")) == {"1h": "withdrawn", "1d": "pending"}


def test_it_is_recorded_and_ops_is_told_once(desk: Desk) -> None:
    request = desk.ask("1h", "1d")
    desk.withdraw(request.id)
    [row], [told] = desk.audited("access.withdrawn"), desk.told("access.withdrawn")
    assert (row.actor, row.subject, row.data["frequencies"]) == (str(QUANT.account), str(request.id), ["1h", "1d"])
    assert (told["recipient"], told["data"]["request"]) == ("ops", str(request.id))


def test_what_is_decided_or_lapsed_stays_and_the_refusal_says_how_it_stands(desk: Desk, clock: SetClock) -> None:
    request, other = desk.ask("1h", "1d"), desk.ask("1mo")
    desk.decide(request.id, decisions=[{"frequency": "1h", "outcome": "approve"}])
    with pytest.raises(AlreadyDecided) as named, desk.session.begin_nested():
        desk.withdraw(request.id, "1h", "1d")
    fate = {"frequency": "1h", "status": "approved", "decided_at": "2026-05-04T12:00:00Z"}
    assert named.value.members == {"items": [fate]}
    desk.withdraw(request.id)
    clock.at = other.lapse_at
    for id_ in (request.id, other.id):
        before = desk.counts()
        with pytest.raises(NothingToWithdraw), desk.session.begin_nested():
            desk.withdraw(id_)
        assert desk.counts() == before
    clock.at -= MS
    assert states(desk.withdraw(other.id)) == {"1mo": "withdrawn"}


def test_only_the_owner_withdraws_and_only_what_was_asked_for(desk: Desk) -> None:
    request = desk.ask("1d")
    for somebody in (OTHER, OPS, ADMIN):
        with pytest.raises(RequestNotFound), desk.session.begin_nested():
            desk.withdraw(request.id, by=somebody)
    with pytest.raises(RequestNotFound), desk.session.begin_nested():
        desk.withdraw(uuid4())
    with pytest.raises(NotAskedFor), desk.session.begin_nested():
        desk.withdraw(request.id, "1h")
    assert desk.requests.find(request.id, QUANT).status == "pending"


def test_a_renewal_that_comes_to_nothing_is_waited_out_and_nothing_else_is(desk: Desk) -> None:
    desk.withdraw(desk.ask("1h").id)
    assert not is_settling(desk.session)
    desk.give("1d", duration_days=1, grace_days=3)
    renewal = desk.ask("1d").id
    assert not is_settling(desk.session)
    desk.withdraw(renewal)
    assert is_settling(desk.session)
