"""Asking: what is new, what is skipped, what is answered at once, and what keeps from asking."""

from typing import Any

import pytest
from sqlalchemy import insert, text

from services.entitlements.requests.errors import (
    Cooldown,
    FrequencyNotOffered,
    NothingToRequest,
    TooManyOpen,
    UnknownDataset,
)
from services.entitlements.requests.schemas import OpsRequestOut
from services.entitlements.rules.entities import RuleVersion
from shared.errors import Problem
from tests.services.entitlements.desk import Desk
from tests.services.entitlements.fakes import ADMIN, DAY, MS, OPS, OTHER, QUANT, T0, SetClock


def test_a_request_waits_for_ops_with_an_item_per_frequency(desk: Desk) -> None:
    request = desk.ask("1h", "1d", reason="Backtest", duration_days=90)
    assert (request.status, request.awaiting, request.account) == ("pending", "ops", QUANT.account)
    assert (request.created_at, request.lapse_at) == (T0, T0 + 14 * DAY)
    assert [(item.frequency, item.status) for item in request.items] == [("1h", "pending"), ("1d", "pending")]
    assert request.skipped == []


def test_a_request_is_recorded_and_ops_is_told_once(desk: Desk) -> None:
    request = desk.ask("1h", "1d", reason="secret plans")
    [row] = desk.audited("access.requested")
    assert (row.actor, row.subject) == (str(QUANT.account), str(request.id))
    assert "secret" not in str(row.data)
    [told] = desk.told("access.requested")
    assert told["recipient"] == "ops"
    assert told["data"].items() >= {"request": str(request.id), "frequencies": ["1h", "1d"]}.items()


def test_what_is_held_or_pending_is_skipped_with_its_ids(desk: Desk) -> None:
    [grant] = desk.give("1h")
    first = desk.ask("1d")
    second = desk.ask("1h", "1d", "1mo")
    assert [item.frequency for item in second.items] == ["1mo"]
    held, pending = second.skipped
    assert (held.frequency, held.why, held.grant, held.ends_at) == ("1h", "already-granted", grant.id, grant.ends_at)
    assert (pending.frequency, pending.why, pending.request) == ("1d", "already-pending", first.id)


def test_a_scheduled_grant_is_held_too(desk: Desk) -> None:
    [grant] = desk.give("1d", starts_at=T0 + DAY)
    with pytest.raises(NothingToRequest) as refused:
        desk.ask("1d")
    assert refused.value.members["skipped"][0]["grant"] == str(grant.id)


def test_nothing_new_is_refused_with_the_same_list_and_leaves_no_trace(desk: Desk) -> None:
    first, before = desk.ask("1d"), desk.counts()
    with pytest.raises(NothingToRequest) as refused, desk.session.begin_nested():
        desk.ask("1d")
    skipped = [{"frequency": "1d", "why": "already-pending", "request": str(first.id)}]
    assert refused.value.members == {"skipped": skipped}
    assert desk.counts() == before


@pytest.mark.parametrize(
    ("dataset", "frequency", "refusal"),
    [("GONE", "1d", UnknownDataset), ("ETH", "1h", FrequencyNotOffered), ("BTC", "1m", FrequencyNotOffered)],
)
def test_only_what_is_offered_can_be_asked_for(
    desk: Desk, dataset: str, frequency: str, refusal: type[Problem]
) -> None:
    with pytest.raises(refusal):
        desk.ask(frequency, dataset=dataset)


def test_a_lapsed_cell_is_free_again(desk: Desk, clock: SetClock) -> None:
    first = desk.ask("1d")
    clock.at = first.lapse_at - MS
    with pytest.raises(NothingToRequest), desk.session.begin_nested():
        desk.ask("1d")
    clock.at = first.lapse_at
    assert desk.ask("1d").status == "pending"
    assert desk.requests.find(first.id, QUANT).status == "lapsed"


@pytest.mark.parametrize("ended", ["run out", "revoked"])
def test_a_cell_whose_grant_is_over_is_free_again(desk: Desk, clock: SetClock, ended: str) -> None:
    [grant] = desk.give("1d", duration_days=1)
    if ended == "revoked":
        desk.revoke(grant.id)
    else:
        clock.at += DAY
    assert desk.ask("1d").skipped == []


def test_a_refusal_keeps_from_asking_for_a_day_and_for_that_cell_only(desk: Desk, clock: SetClock) -> None:
    desk.refuse(desk.ask("1d").id)
    clock.at += DAY - MS
    with pytest.raises(Cooldown) as refused, desk.session.begin_nested():
        desk.ask("1d")
    assert refused.value.members == {"frequency": "1d", "reapply_after": "2026-05-05T12:00:00Z"}
    desk.ask("1h")
    desk.ask("1d", by=OTHER)
    clock.at += MS
    assert desk.ask("1d").status == "pending"


def test_fifty_items_may_be_open_and_lapsed_ones_do_not_count(desk: Desk, clock: SetClock) -> None:
    for number in range(16):
        desk.ask("1h", "1d", "1mo", dataset=f"D{number}")
    desk.ask("1h", "1d")
    with pytest.raises(TooManyOpen), desk.session.begin_nested():
        desk.ask("1mo")
    with pytest.raises(NothingToRequest), desk.session.begin_nested():
        desk.ask("1h", "1d")
    desk.ask("1d", by=OTHER)
    clock.at += 14 * DAY
    assert desk.ask("1mo").status == "pending"


def test_a_short_trial_is_given_at_once_with_its_grant_record_and_message(desk: Desk) -> None:
    request = desk.ask("1d", trial=True, duration_days=7)
    [item] = request.items
    assert (request.status, item.status, item.outcome_by, item.decided_at) == ("approved", "approved", "rule", T0)
    assert (item.reason, item.reason_code) == ("Short trials are given at once.", "short-trial")
    assert item.grant is not None
    grant = desk.grants.find(item.grant, QUANT)
    assert (grant.kind, grant.origin, grant.status, grant.ends_at) == ("trial", "rule", "active", T0 + 7 * DAY)
    assert grant.request == request.id
    assert desk.may().allowed
    [asked], [decided] = desk.audited("access.requested"), desk.audited("access.decided")
    assert (asked.actor, decided.actor, decided.subject) == (str(QUANT.account), "rules", str(request.id))
    [told] = desk.told("access.decided")
    assert told["recipient"] == str(QUANT.account)
    [said] = told["data"]["decisions"]
    assert (said["frequency"], said["outcome"], said["grant"]) == ("1d", "approved", str(grant.id))
    assert desk.told("access.requested") == []


def test_the_rules_answer_each_frequency_and_ops_hears_of_the_rest_only(desk: Desk) -> None:
    request = desk.ask("1h", "1d", "1mo", trial=True)
    assert [(item.frequency, item.status) for item in request.items] == [
        ("1h", "pending"),
        ("1d", "approved"),
        ("1mo", "approved"),
    ]
    assert request.status == "pending"
    [to_ops] = desk.told("access.requested")
    assert (to_ops["recipient"], to_ops["data"]["frequencies"]) == ("ops", ["1h"])
    [to_quant] = desk.told("access.decided")
    assert [said["frequency"] for said in to_quant["data"]["decisions"]] == ["1d", "1mo"]


@pytest.mark.parametrize("standing", ["blocked", "closed"])
def test_an_account_that_is_not_in_good_standing_is_refused_by_rule(desk: Desk, standing: str) -> None:
    desk.ask("1h")
    desk.session.execute(text("update entitlements.accounts set standing = :standing"), {"standing": standing})
    for trial in (False, True):
        [item] = desk.ask("1d", trial=trial).items
        assert (item.status, item.outcome_by, item.reason_code) == ("refused", "rule", f"account-{standing}")


@pytest.mark.parametrize("over", ["run out", "revoked"])
def test_a_second_trial_of_a_cell_is_refused_whenever_and_a_rule_s_refusal_keeps_nobody_from_asking(
    desk: Desk, clock: SetClock, over: str
) -> None:
    [first] = desk.ask("1d", trial=True).items
    assert first.grant is not None
    if over == "revoked":
        desk.revoke(first.grant)
    clock.at += 400 * DAY
    [second] = desk.ask("1d", trial=True).items
    assert (second.status, second.reason_code, second.decided_at) == ("refused", "trial-already-used", clock.at)
    assert desk.ask("1d").status == "pending"
    assert desk.ask("1mo", trial=True).status == "approved"


def test_five_trials_in_thirty_days_are_given_the_sixth_waits_for_ops(desk: Desk, clock: SetClock) -> None:
    desk.ask("1d", trial=True, dataset="A")
    clock.at += DAY
    for dataset in "BC":
        desk.ask("1d", "1mo", trial=True, dataset=dataset)
    assert [item.status for item in desk.ask("1d", "1mo", trial=True, dataset="D").items] == ["pending", "pending"]
    assert desk.ask("1d", trial=True, by=OTHER).status == "approved"
    clock.at = T0 + 30 * DAY - MS
    assert desk.ask("1d", trial=True, dataset="E").status == "pending"
    clock.at = T0 + 30 * DAY
    assert [item.status for item in desk.ask("1d", "1mo", trial=True, dataset="F").items] == ["approved", "pending"]


def test_a_trial_may_be_followed_by_standard_access_at_any_time(desk: Desk, clock: SetClock) -> None:
    desk.ask("1d", trial=True)
    with pytest.raises(NothingToRequest) as refused, desk.session.begin_nested():
        desk.ask("1d", trial=True)
    assert refused.value.members["skipped"][0]["why"] == "already-granted"
    upgrade = desk.ask("1d")
    assert (upgrade.status, upgrade.skipped) == ("pending", [])
    with pytest.raises(NothingToRequest), desk.session.begin_nested():
        desk.ask("1d")
    [item] = desk.decide(upgrade.id, outcome="approve").items
    assert item.grant is not None
    assert desk.grants.find(item.grant, QUANT).kind == "standard"


def test_a_grant_is_renewed_inside_its_window_only_and_by_ops(desk: Desk, clock: SetClock) -> None:
    [grant] = desk.give("1d", duration_days=100)
    clock.at = T0 + 86 * DAY - MS
    with pytest.raises(NothingToRequest) as refused, desk.session.begin_nested():
        desk.ask("1d")
    assert refused.value.members["skipped"][0]["grant"] == str(grant.id)
    clock.at += MS
    renewal = desk.ask("1d", "1h")
    assert [(item.frequency, item.status) for item in renewal.items] == [("1h", "pending"), ("1d", "pending")]
    assert desk.may().allowed
    seen = desk.requests.find(renewal.id, OPS)
    assert isinstance(seen, OpsRequestOut)
    assert [item.trace.inputs.renewal for item in seen.items if item.trace] == [False, True]


def test_only_ops_sees_how_the_rules_came_to_their_answer(desk: Desk) -> None:
    request = desk.ask("1d", trial=True)
    seen = desk.requests.find(request.id, OPS)
    assert isinstance(seen, OpsRequestOut)
    trace = seen.items[0].trace
    assert trace is not None
    assert (trace.version, trace.outcome, trace.rule, trace.inputs.standing) == (1, "approve", "short-trial", "good")
    assert {verdict.rule: verdict.verdict for verdict in trace.verdicts} == {
        "account-blocked": "abstain",
        "account-closed": "abstain",
        "short-trial": "approve",
        "trial-already-used": "abstain",
    }
    assert "trace" not in request.model_dump_json()


def with_rules(desk: Desk, *rules: dict[str, Any]) -> None:
    row = {"version": 2, "note": "By hand", "rules": list(rules), "created_at": T0}
    desk.session.execute(insert(RuleVersion).values(row))


def said(verdict: str, name: str = "some", **when: Any) -> dict[str, Any]:
    return {"name": name, "when": when, "verdict": verdict, "reason": f"Because {name}.", "reason_code": name}


def test_a_rule_that_fails_leaves_the_item_to_ops_and_says_so(desk: Desk) -> None:
    with_rules(desk, said("approve"), {**said("refuse", "broken"), "when": {"moon": "full"}})
    request = desk.ask("1d")
    assert (request.status, request.items[0].outcome_by) == ("pending", None)
    seen = desk.requests.find(request.id, OPS)
    assert isinstance(seen, OpsRequestOut)
    trace = seen.items[0].trace
    assert trace is not None
    assert [(v.rule, v.verdict, v.error) for v in trace.verdicts] == [
        ("broken", "error", "UnreadableRule"),
        ("some", "approve", None),
    ]
    assert len(desk.told("access.requested")) == 1


def test_a_referral_says_why_until_ops_decides(desk: Desk) -> None:
    with_rules(desk, said("approve"), said("refer", "large-client"))
    [item] = desk.ask("1d").items
    assert (item.status, item.reason, item.reason_code) == ("pending", "Because large-client.", "large-client")
    assert desk.preview("1h").items[0].reason_code == "large-client"


def test_what_is_pending_is_not_decided_by_rules_that_come_later(desk: Desk) -> None:
    request = desk.ask("1d")
    with_rules(desk, said("approve"))
    assert desk.requests.find(request.id, QUANT).status == "pending"
    assert desk.ask("1h").status == "approved"


def test_a_standard_grant_may_come_from_a_rule_and_is_a_renewal_where_one_is_held(desk: Desk, clock: SetClock) -> None:
    with_rules(desk, said("approve"))
    [first] = desk.ask("1d", duration_days=100).items
    clock.at += 90 * DAY
    [second] = desk.ask("1d", duration_days=5).items
    assert first.grant is not None
    assert second.grant is not None
    assert desk.grants.find(second.grant, QUANT).supersedes == first.grant
    assert desk.grants.find(first.grant, QUANT).closed_at == clock.at


def test_what_rules_decide_does_not_count_as_open(desk: Desk) -> None:
    for number in range(16):
        desk.ask("1h", "1d", "1mo", dataset=f"D{number}")
    desk.ask("1h", "1mo")
    assert desk.ask("1d", trial=True).status == "approved"
    with pytest.raises(TooManyOpen), desk.session.begin_nested():
        desk.ask("1h", "1d", trial=True, dataset="E")
    assert desk.preview("1d", trial=True, dataset="E").items[0].outcome == "approved"


def test_a_preview_names_the_rule_and_writes_nothing(desk: Desk) -> None:
    desk.give("1mo", trial=True)
    before = desk.counts()
    seen = desk.preview("1h", "1d", trial=True, by=ADMIN)
    assert [(item.frequency, item.outcome, item.rule) for item in seen.items] == [
        ("1h", "pending", None),
        ("1d", "approved", "short-trial"),
    ]
    assert desk.preview("1mo", "1h").skipped == []
    assert desk.preview("1mo", "1h", trial=True).skipped[0].why == "already-granted"
    assert desk.counts() == before


def test_what_was_revoked_at_a_time_set_before_may_be_asked_for_at_once(desk: Desk, clock: SetClock) -> None:
    [grant] = desk.give("1d")
    desk.revoke(grant.id, at=T0 + DAY)
    clock.at += DAY
    assert desk.may().state == "revoked"
    [item] = desk.ask("1d").items
    assert (item.frequency, item.status) == ("1d", "pending")
