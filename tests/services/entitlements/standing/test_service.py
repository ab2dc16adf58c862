"""Blocking stops reads, requests and approvals; closing also withdraws and revokes; nobody does it to themselves."""

from typing import Any

import pytest

from services.entitlements.accounts.errors import AccountClosed
from services.entitlements.grants.errors import SelfDecision
from services.entitlements.rules.schemas import NewRules
from services.entitlements.standing.schemas import Block, Ruling
from shared.coherence.owner import NAMES, is_settling
from shared.coherence.stamp import name_of
from shared.errors import InvalidInput
from shared.principal import Principal
from tests.services.entitlements.desk import Desk
from tests.services.entitlements.fakes import ADMIN, DAY, MS, OPS, OTHER, QUANT, T0, SetClock

WHY = Ruling(reason="Settled")


def named(desk: Desk) -> set[str]:
    """The names of the cells whose answers may have changed."""
    return {name for names in desk.session.info.get(NAMES, {}).values() for name in names}


def test_a_blocked_account_reads_nothing_and_is_told_why(desk: Desk) -> None:
    desk.give("1d", "1h")
    assert named(desk) == set()
    assert desk.block().standing == "blocked"
    assert named(desk) == {name_of(QUANT.account_id, "BTC", frequency) for frequency in ("1d", "1h", None)}
    for frequency in ("1d", "1mo", None):
        refusal = desk.may(frequency).refusal
        assert refusal is not None
        assert (refusal.code, refusal.members["reason"], refusal.members["remedy"]) == ("blocked", "Unpaid", None)
    assert len(desk.told("account.blocked")) == len(desk.audited("account.blocked")) == 1


def test_others_go_on_reading(desk: Desk) -> None:
    desk.give("1d", to=OTHER)
    desk.block()
    assert desk.may(who=OTHER).allowed


def test_a_block_is_over_by_itself_on_its_millisecond(desk: Desk, clock: SetClock) -> None:
    desk.give("1d")
    desk.block(until=T0 + DAY)
    clock.at += DAY - MS
    assert desk.may().state == "blocked"
    clock.at += MS
    assert desk.may().allowed
    desk.give("1h")


def test_blocking_does_not_revoke_and_unblocking_gives_back_what_is_not_over(desk: Desk, clock: SetClock) -> None:
    [grant] = desk.give("1d", duration_days=1)
    desk.give("1h")
    desk.block()
    assert desk.grants.find(grant.id, OPS).status == "active"
    clock.at += DAY
    assert desk.standings.unblock(desk.account(), WHY, OPS).standing == "good"
    assert (desk.may("1h").state, desk.may("1d").state) == ("active", "ended")
    before = desk.counts()
    desk.standings.unblock(desk.account(), WHY, OPS)
    assert desk.counts() == before


def test_closing_withdraws_and_revokes_and_is_final(desk: Desk, clock: SetClock) -> None:
    [running], [over] = desk.give("1d"), desk.give("1mo", duration_days=1)
    request = desk.ask("1h")
    clock.at += DAY
    assert desk.standings.close(desk.account(), WHY, OPS).standing == "closed"
    assert [desk.grants.find(g.id, OPS).status for g in (running, over)] == ["revoked", "ended"]
    [item] = desk.requests.find(request.id, OPS).items
    assert (item.status, item.reason_code) == ("withdrawn", "account-closed")
    assert [told["data"]["reason_code"] for told in desk.told("grant.revoked")] == ["account-closed"]
    assert desk.may().state == "blocked"
    before = desk.counts()
    desk.standings.close(desk.account(), WHY, OPS)
    assert desk.counts() == before
    with pytest.raises(AccountClosed):
        desk.block()
    with pytest.raises(AccountClosed):
        desk.standings.unblock(desk.account(), WHY, OPS)


@pytest.mark.parametrize("act", ["block", "close"])
def test_a_repeat_waits_like_the_first_which_may_not_have_answered_yet(desk: Desk, act: str) -> None:
    [grant] = desk.give("1d")
    for _ in range(2):
        desk.session.info.clear()
        getattr(desk.standings, act)(desk.account(), Block(reason="Unpaid"), OPS)
        assert is_settling(desk.session)
        if act == "block":  # so that the repeat finds nothing that it would end
            desk.closings.relinquish(grant.id, QUANT)


def test_somebody_who_never_asked_for_anything_can_be_blocked(desk: Desk) -> None:
    desk.block(OTHER)
    assert desk.may(who=OTHER).state == "blocked"


@pytest.mark.parametrize("somebody", [OPS, ADMIN])
@pytest.mark.parametrize("act", ["block", "unblock", "close"])
def test_nobody_rules_on_themselves(desk: Desk, somebody: Principal, act: str) -> None:

    with pytest.raises(SelfDecision):
        getattr(desk.standings, act)(desk.account(somebody), Block(reason="Me"), somebody)


def test_a_block_cannot_end_in_the_past(desk: Desk) -> None:
    with pytest.raises(InvalidInput):
        desk.block(until=T0)


@pytest.mark.parametrize("verdict", [None, "approve", "refer"])
@pytest.mark.parametrize("standing", ["blocked", "closed"])
def test_what_a_block_stops_it_stops_whatever_the_rules_say(desk: Desk, standing: str, verdict: str | None) -> None:
    said: dict[str, Any] = {"name": "all", "when": {}, "verdict": verdict, "reason": "All.", "reason_code": "all"}
    new = {"replaces": 1, "note": "None about standing", "rules": [said] if verdict else []}
    desk.rules.replace(NewRules.model_validate(new), ADMIN)
    desk.block() if standing == "blocked" else desk.standings.close(desk.account(), WHY, OPS)
    [seen] = desk.preview("1d").items
    [item] = desk.ask("1d").items
    assert (item.status, item.outcome_by, item.reason_code) == ("refused", "rule", f"account-{standing}")
    assert (seen.outcome, seen.rule, seen.reason) == ("refused", f"account-{standing}", item.reason)


def test_what_closing_withdrew_is_recorded_for_each_request_and_ops_is_told(desk: Desk) -> None:
    first, second = desk.ask("1mo", "1d"), desk.ask("1h")
    desk.refuse(second.id)
    third = desk.ask("1d", dataset="ETH")
    desk.standings.close(desk.account(), WHY, OPS)
    withdrawn = {row.subject: (row.actor, row.data["frequencies"]) for row in desk.audited("access.withdrawn")}
    assert withdrawn == {
        str(first.id): (str(OPS.account), ["1d", "1mo"]),
        str(third.id): (str(OPS.account), ["1d"]),
    }
    assert len(desk.audited("access.withdrawn")) == 2
    told = [(t["recipient"], t["data"]["request"], t["data"]["account_name"]) for t in desk.told("access.withdrawn")]
    assert told == [("ops", str(first.id), "Ada"), ("ops", str(third.id), "Ada")]
