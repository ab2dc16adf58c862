"""Deciding: each item once, all or nothing, never one's own."""

from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy import update

from services.entitlements.accounts.entities import Account
from services.entitlements.accounts.errors import AccountBlocked
from services.entitlements.decisions.errors import NotInRequest
from services.entitlements.grants.entities import Grant
from services.entitlements.grants.errors import CellHeld, SelfDecision
from services.entitlements.grants.policy import Term
from services.entitlements.grants.service import new_grant
from services.entitlements.requests.errors import AlreadyDecided, RequestNotFound
from services.entitlements.requests.schemas import OpsRequestOut
from shared.errors import InvalidInput, Problem
from tests.services.entitlements.desk import Desk
from tests.services.entitlements.fakes import ADMIN, DAY, MS, OPS, QUANT, T0, SetClock

APPROVE, REFUSE = {"outcome": "approve"}, {"outcome": "refuse", "reason": "No licence.", "reason_code": "no-licence"}


def states(request: OpsRequestOut) -> dict[str, str]:
    return {item.frequency: item.status for item in request.items}


def test_two_frequencies_have_two_outcomes_in_one_decision(desk: Desk, clock: SetClock) -> None:
    request = desk.ask("1h", "1d")
    clock.at += DAY
    decisions = [{"frequency": "1d", **APPROVE, "duration_days": 30}, {"frequency": "1h", **REFUSE}]
    decided = desk.decide(request.id, decisions=decisions, note="As agreed.")
    assert (decided.status, states(decided)) == ("partially-approved", {"1h": "refused", "1d": "approved"})
    refused, approved = sorted(decided.items, key=lambda item: item.status, reverse=True)
    assert (refused.reason, refused.reason_code, refused.grant) == ("No licence.", "no-licence", None)
    assert {(item.decided_by, item.decided_at, item.outcome_by, item.note) for item in decided.items} == {
        (OPS.account, clock.at, "ops", "As agreed.")
    }
    assert approved.grant is not None
    grant = desk.grants.find(approved.grant, QUANT)
    assert (grant.starts_at, grant.ends_at, grant.request, grant.origin) == (T0 + DAY, T0 + 31 * DAY, request.id, "ops")


def test_a_decision_is_one_record_and_one_message(desk: Desk) -> None:
    request = desk.ask("1h", "1d")
    decisions = [{"frequency": "1d", **APPROVE}, {"frequency": "1h", **REFUSE}]
    desk.decide(request.id, decisions=decisions, note="Secret.")
    [row] = desk.audited("access.decided")
    assert (row.actor, row.subject) == (str(OPS.account), str(request.id))
    assert "No licence" not in str(row.data)
    [told] = desk.told("access.decided")
    assert told["recipient"] == str(QUANT.account)
    assert {d["frequency"]: d["outcome"] for d in told["data"]["decisions"]} == {"1d": "approved", "1h": "refused"}


def test_what_is_left_out_stays_pending_and_can_be_decided_later(desk: Desk) -> None:
    request = desk.ask("1h", "1d")
    decided = desk.decide(request.id, decisions=[{"frequency": "1d", **APPROVE}])
    assert (decided.status, states(decided)) == ("pending", {"1h": "pending", "1d": "approved"})
    assert states(desk.decide(request.id, by=ADMIN, **REFUSE)) == {"1h": "refused", "1d": "approved"}


def test_what_was_asked_is_what_is_given_unless_said_otherwise(desk: Desk) -> None:
    request = desk.ask("1h", trial=True, duration_days=7)
    [item] = desk.decide(request.id, outcome="approve").items
    assert item.grant is not None
    grant = desk.grants.find(item.grant, QUANT)
    assert (grant.kind, grant.ends_at) == ("trial", T0 + 7 * DAY)


def test_a_second_decision_is_told_who_decided_and_when(desk: Desk, clock: SetClock) -> None:
    request = desk.ask("1d")
    desk.decide(request.id, outcome="approve")
    before, clock.at = desk.counts(), clock.at + DAY
    for decision in (REFUSE, APPROVE, {"decisions": [{"frequency": "1d", **REFUSE}]}):
        with pytest.raises(AlreadyDecided) as refused, desk.session.begin_nested():
            desk.decide(request.id, by=ADMIN, **decision)
        fate = {"frequency": "1d", "status": "approved", "decided_at": "2026-05-04T12:00:00Z"}
        assert refused.value.members == {"items": [{**fate, "decided_by": str(OPS.account)}]}
    assert desk.counts() == before


@pytest.mark.parametrize(("shift", "open_"), [(-MS, True), (0 * MS, False), (MS, False)])
def test_what_lapsed_cannot_be_decided(desk: Desk, clock: SetClock, shift: Any, open_: bool) -> None:
    request = desk.ask("1d")
    clock.at = request.lapse_at + shift
    if open_:
        assert states(desk.decide(request.id, outcome="approve")) == {"1d": "approved"}
        return
    with pytest.raises(AlreadyDecided) as refused:
        desk.decide(request.id, outcome="approve")
    fate = {"frequency": "1d", "status": "lapsed", "decided_at": "2026-05-18T12:00:00Z", "decided_by": None}
    assert refused.value.members == {"items": [fate]}


def test_w2_nobody_decides_their_own_request_whatever_the_role(desk: Desk) -> None:
    for somebody in (OPS, ADMIN):
        request = desk.ask("1d", by=somebody)
        before = desk.counts()
        for decision in (APPROVE, REFUSE):
            with pytest.raises(SelfDecision), desk.session.begin_nested():
                desk.decide(request.id, by=somebody, **decision)
        assert desk.counts() == before


def test_there_is_nothing_to_decide_in_a_request_that_is_not(desk: Desk) -> None:
    with pytest.raises(RequestNotFound):
        desk.decide(uuid4(), outcome="approve")


ONE_WRONG = [
    ([{"frequency": "1d", **APPROVE}, {"frequency": "1mo", **APPROVE}], NotInRequest),
    ([{"frequency": "1d", **APPROVE}, {"frequency": "1m", **REFUSE}], NotInRequest),
    ([{"frequency": "1d", **REFUSE}, {"frequency": "1h", **APPROVE, "ends_at": "2026-01-01"}], InvalidInput),
    ([{"frequency": "1d", **REFUSE}, {"frequency": "1h", **APPROVE, "starts_at": "2026-06-01"}], CellHeld),
]


@pytest.mark.parametrize(("decisions", "refusal"), ONE_WRONG)
def test_a_decision_happens_wholly_or_not_at_all(
    desk: Desk, decisions: list[dict[str, Any]], refusal: type[Problem]
) -> None:
    request = desk.ask("1d", "1h")
    desk.grants.give(beside(), T0)
    before = desk.counts()
    with pytest.raises(refusal), desk.session.begin_nested():
        desk.decide(request.id, decisions=decisions)
    assert desk.counts() == before
    assert {item.status for item in desk.requests.find(request.id, OPS).items} == {"pending"}


def beside() -> Grant:
    """A grant on the hourly cell, beside its pending item."""
    term = Term(kind="standard", starts_at=T0, ends_at=None)
    account = QUANT.account_id
    return new_grant(account=account, dataset="BTC", frequency="1h", term=term, origin="direct", now=T0, by=OPS.account)


def test_a_term_that_is_refused_is_pointed_at_where_it_stands(desk: Desk) -> None:
    request = desk.ask("1d", "1h")
    decisions = [{"frequency": "1h", **REFUSE}, {"frequency": "1d", **APPROVE, "ends_at": "2026-01-01"}]
    with pytest.raises(InvalidInput) as refused:
        desk.decide(request.id, decisions=decisions)
    assert refused.value.members["errors"][0]["pointer"] == "/decisions/1/ends_at"


def test_a_grant_may_begin_later(desk: Desk, clock: SetClock) -> None:
    request = desk.ask("1d")
    desk.decide(request.id, outcome="approve", starts_at="2026-06-01")
    assert desk.may().state == "scheduled"
    clock.at = T0.replace(month=6, day=1, hour=0)
    assert desk.may().state == "active"


@pytest.mark.parametrize("before", ["decide", "withdraw", "lapse"])
def test_w2_what_is_settled_cannot_be_decided_and_nothing_else_changes(
    desk: Desk, clock: SetClock, before: str
) -> None:
    request = desk.ask("1d", "1h")
    if before == "decide":
        desk.refuse(request.id)
    elif before == "withdraw":
        desk.withdraw(request.id)
    else:
        clock.at = request.lapse_at
    counts, found = desk.counts(), desk.requests.find(request.id, OPS)
    for decision in (APPROVE, REFUSE, {"decisions": [{"frequency": "1d", **APPROVE}]}):
        with pytest.raises(AlreadyDecided) as refused, desk.session.begin_nested():
            desk.decide(request.id, by=ADMIN, **decision)
        states = {"decide": "refused", "withdraw": "withdrawn", "lapse": "lapsed"}
        assert {item["status"] for item in refused.value.members["items"]} == {states[before]}
    assert (desk.counts(), desk.requests.find(request.id, OPS)) == (counts, found)


@pytest.mark.parametrize("standing", ["blocked", "closed"])
def test_nothing_is_given_to_an_account_that_is_blocked_or_closed(desk: Desk, standing: str) -> None:
    request = desk.ask("1d", "1h")
    desk.session.execute(update(Account).values(standing=standing))
    before = desk.counts()
    for act in (lambda: desk.decide(request.id, outcome="approve"), lambda: desk.give("1mo")):
        with pytest.raises(AccountBlocked) as refused, desk.session.begin_nested():
            act()
        assert refused.value.members == {"standing": standing}
    assert desk.counts() == before
    assert desk.refuse(request.id).status == "refused"
