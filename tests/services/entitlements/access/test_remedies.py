"""Every refusal's remedy, sent as it stands, changes the state; there is none where only waiting, or Ops, helps."""

from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import insert

from services.entitlements.access.schemas import AccessQuery
from services.entitlements.requests.errors import Cooldown, TooManyOpen
from services.entitlements.retirements.schemas import Retiring
from services.entitlements.rules.entities import RuleVersion
from services.entitlements.standing.schemas import Ruling
from shared.principal import Principal
from shared.wire import instant_text
from tests.services.entitlements.desk import Desk
from tests.services.entitlements.fakes import DAY, MS, OPS, QUANT, T0, SetClock

MINUTE = timedelta(minutes=1)
Step = Callable[[Desk, SetClock], Any]


def _withdrawn(desk: Desk, clock: SetClock) -> None:
    desk.withdraw(desk.ask("1d").id)


def _asked_back(desk: Desk, clock: SetClock) -> None:
    desk.question(desk.ask("1d").id)


def _refused(desk: Desk, clock: SetClock) -> None:
    desk.refuse(desk.ask("1d").id)


def _refused_long_ago(desk: Desk, clock: SetClock) -> None:
    _refused(desk, clock)
    clock.at += DAY


def _lapsed(desk: Desk, clock: SetClock) -> None:
    desk.ask("1d")
    clock.at += 14 * DAY


def _ended(desk: Desk, clock: SetClock) -> None:
    desk.give("1d", duration_days=1)
    clock.at += DAY


def _trial_ended(desk: Desk, clock: SetClock) -> None:
    desk.give("1d", trial=True)
    clock.at += 14 * DAY


def _revoked(desk: Desk, clock: SetClock) -> None:
    desk.revoke(desk.give("1d")[0].id)


def _renewal_refused_then_ended(desk: Desk, clock: SetClock) -> None:
    desk.give("1d", duration_days=2)
    clock.at += 2 * DAY - MINUTE
    desk.refuse(desk.ask("1d").id)
    clock.at += MINUTE


def _upgrade_refused_then_trial_ended(desk: Desk, clock: SetClock) -> None:
    desk.give("1d", trial=True)
    clock.at += 14 * DAY - MINUTE
    desk.refuse(desk.ask("1d").id)
    clock.at += MINUTE


def _renewal_refused_then_revoked(desk: Desk, clock: SetClock) -> None:
    [grant] = desk.give("1d", duration_days=2)
    clock.at += DAY
    desk.refuse(desk.ask("1d").id)
    desk.revoke(grant.id)


def _renewal_refused_then_relinquished(desk: Desk, clock: SetClock) -> None:
    [grant] = desk.give("1d", duration_days=2)
    clock.at += DAY
    desk.refuse(desk.ask("1d").id)
    desk.closings.relinquish(grant.id, QUANT)


def _refused_in_grace(desk: Desk, clock: SetClock) -> None:
    desk.give("1d", duration_days=2, grace_days=7)
    clock.at += DAY
    request = desk.ask("1d")
    clock.at += 2 * DAY
    assert desk.may().grace_until is not None
    desk.refuse(request.id)


def _renewal_refused_ended_long_ago(desk: Desk, clock: SetClock) -> None:
    _renewal_refused_then_ended(desk, clock)
    clock.at += DAY


def _refused_then_given_and_revoked(desk: Desk, clock: SetClock) -> None:
    _refused(desk, clock)
    clock.at += MINUTE
    _revoked(desk, clock)


def _relinquished(desk: Desk, clock: SetClock) -> None:
    desk.closings.relinquish(desk.give("1d")[0].id, QUANT)


def _nothing(desk: Desk, clock: SetClock) -> None:
    pass


def _pending(desk: Desk, clock: SetClock) -> None:
    desk.ask("1d")


def _scheduled(desk: Desk, clock: SetClock) -> None:
    desk.give("1d", starts_at=T0 + DAY)


def _blocked(desk: Desk, clock: SetClock) -> None:
    desk.block()


def _closed(desk: Desk, clock: SetClock) -> None:
    desk.standings.close(desk.account(), Ruling(reason="Gone"), OPS)


HELPED = [
    ("never-requested", _nothing),
    ("never-requested", _withdrawn),
    ("needs-info", _asked_back),
    ("refused", _refused_long_ago),
    ("lapsed", _lapsed),
    ("ended", _ended),
    ("ended", _renewal_refused_ended_long_ago),
    ("trial-ended", _trial_ended),
    ("revoked", _revoked),
    ("revoked", _refused_then_given_and_revoked),
    ("relinquished", _relinquished),
]
NOT_HELPED = [
    ("pending", _pending),
    ("refused", _refused),
    ("ended", _renewal_refused_then_ended),
    ("ended", _refused_in_grace),
    ("trial-ended", _upgrade_refused_then_trial_ended),
    ("revoked", _renewal_refused_then_revoked),
    ("relinquished", _renewal_refused_then_relinquished),
    ("scheduled", _scheduled),
    ("blocked", _blocked),
    ("blocked", _closed),
]


def told(
    desk: Desk, frequency: str | None, offered: Sequence[str] = ("1h", "1d", "1mo"), who: Principal = QUANT
) -> tuple[str, Any]:
    """The code and the remedy."""
    query = AccessQuery.model_validate(
        {"account": who.account_id, "dataset": "BTC", "frequency": frequency, "offered": offered}
    )
    refusal = desk.access.may(query).refusal
    assert refusal is not None
    return refusal.code, refusal.members["remedy"]


def send(desk: Desk, remedy: dict[str, Any], by: Principal = QUANT) -> None:
    """Do what the remedy says; only an answer's text is filled in."""
    assert remedy["method"] == "POST"
    _, _, path, *rest = remedy["href"].split("/")
    assert path == "access-requests"
    if not rest:
        desk.ask(*remedy["body"].pop("frequencies"), by=by, **remedy["body"])
        return
    [request, act] = rest
    assert (act, remedy["body"]) == ("answer", {"text": ""})
    desk.answer(request, "For carry.", by)


@pytest.mark.parametrize("frequency", ["1d", None])
@pytest.mark.parametrize(("code", "step"), HELPED)
def test_a_remedy_sent_as_it_stands_changes_the_state(
    desk: Desk, clock: SetClock, code: str, step: Step, frequency: str | None
) -> None:
    step(desk, clock)
    clock.at += MINUTE
    found, remedy = told(desk, frequency)
    assert found == code
    send(desk, remedy)
    assert told(desk, frequency) == ("pending", None)


@pytest.mark.parametrize(("code", "step"), NOT_HELPED)
def test_where_only_waiting_helps_there_is_no_remedy(desk: Desk, clock: SetClock, code: str, step: Step) -> None:
    step(desk, clock)
    assert told(desk, "1d") == (code, None)


def test_a_question_about_a_dataset_is_helped_by_what_is_offered_and_can_be_asked_for(
    desk: Desk, clock: SetClock
) -> None:
    def asking(frequency: str) -> dict[str, Any]:
        body = {"dataset": "BTC", "frequencies": [frequency]}
        return {"method": "POST", "href": "/v1/access-requests", "body": body}

    desk.give("1h")
    desk.retirements.follow(Retiring(symbol="BTC", retired={"1h": clock.at}))
    clock.at += MINUTE
    assert told(desk, None, ["1d", "1mo"]) == ("ended", asking("1d"))
    assert told(desk, None, []) == ("ended", None)
    desk.refuse(desk.ask("1d").id)
    assert told(desk, None, ["1d", "1mo"]) == ("refused", asking("1mo"))
    assert told(desk, None, ["1d"]) == ("refused", None)
    clock.at += DAY
    assert told(desk, None, ["1d", "1mo"]) == ("refused", asking("1d"))


def with_rule(desk: Desk, verdict: str, *, version: int = 2, **when: Any) -> None:
    """One rule instead of all."""
    rule = {"name": "only", "when": when, "verdict": verdict, "reason": "Because.", "reason_code": "only"}
    row = insert(RuleVersion).values(version=version, note="A test", rules=[rule], created_at=T0)
    desk.session.execute(row)


BEFORE = [("never-requested", _nothing), ("revoked", _revoked), ("ended", _ended), ("lapsed", _lapsed)]


@pytest.mark.parametrize(("code", "step"), BEFORE)
def test_what_the_rules_refuse_is_asked_for_once_and_then_there_is_no_remedy_until_they_change(
    desk: Desk, clock: SetClock, code: str, step: Step
) -> None:
    step(desk, clock)
    with_rule(desk, "refuse", frequencies=["1d"])
    clock.at += MINUTE
    found, remedy = told(desk, "1d")
    assert found == code
    send(desk, remedy)
    clock.at += MINUTE
    assert told(desk, "1d") == told(desk, None, ["1d"]) == ("refused", None)
    found, remedy = told(desk, None, ["1d", "1mo"])
    assert (found, remedy["body"]["frequencies"]) == ("refused", ["1mo"])
    with_rule(desk, "approve", version=3)
    send(desk, told(desk, "1d")[1])
    assert desk.may().allowed


def test_what_the_rules_refuse_after_ops_did_has_no_remedy_either(desk: Desk, clock: SetClock) -> None:
    _refused_long_ago(desk, clock)
    with_rule(desk, "refuse")
    assert told(desk, "1d") == ("refused", None)


def test_a_rule_about_roles_is_asked_about_the_reader_s(desk: Desk) -> None:
    with_rule(desk, "refuse", roles=["ops"])
    for who, then in ((OPS, "refused"), (QUANT, "pending")):
        send(desk, told(desk, "1d", who=who)[1], by=who)
        assert told(desk, "1d", who=who) == (then, None)


def as_much_as_may_wait(desk: Desk) -> UUID:
    """Have 50 items wait for Ops; the request of the last."""
    for number in range(16):
        desk.ask("1h", "1d", "1mo", dataset=f"D{number}")
    desk.ask("1h", dataset="D16")
    return desk.ask("1d", dataset="D16").id


@pytest.mark.parametrize(("frequency", "offered"), [("1h", ["1h", "1d"]), (None, ["1h"])])
def test_while_as_much_waits_as_may_there_is_no_remedy(desk: Desk, frequency: str | None, offered: list[str]) -> None:
    last = as_much_as_may_wait(desk)
    assert told(desk, frequency, offered) == ("never-requested", None)
    with pytest.raises(TooManyOpen), desk.session.begin_nested():
        desk.ask("1h")
    desk.withdraw(last)
    send(desk, told(desk, frequency, offered)[1])
    assert told(desk, frequency, offered) == ("pending", None)


def trials_by_rule(desk: Desk) -> None:
    """Rules that give trials, and nothing else."""
    with_rule(desk, "approve", trial=True)
    with_rule(desk, "refuse", version=3, trial=False)
    rules = [desk.rules.find(version).rules[0].model_dump(mode="json", exclude_none=True) for version in (2, 3)]
    rules[1]["name"] = "rest"
    desk.session.execute(insert(RuleVersion).values(version=4, note="A test", rules=rules, created_at=T0))


@pytest.mark.parametrize(("prepare", "asks_first"), [(as_much_as_may_wait, False), (trials_by_rule, True)])
@pytest.mark.parametrize("frequency", ["1d", None])
def test_where_a_trial_alone_changes_the_state_the_remedy_is_a_trial(
    desk: Desk, clock: SetClock, frequency: str | None, prepare: Callable[[Desk], object], asks_first: bool
) -> None:
    prepare(desk)
    if asks_first:  # which the rules refuse, and would again
        send(desk, told(desk, frequency, ["1d"])[1])
        clock.at += MINUTE
    code, remedy = told(desk, frequency, ["1d"])
    assert code == ("refused" if asks_first else "never-requested")
    assert remedy["body"] == {"dataset": "BTC", "frequencies": ["1d"], "trial": True}
    send(desk, remedy)
    assert desk.may().state == "active"


def test_a_trial_that_the_rules_refuse_is_no_remedy(desk: Desk, clock: SetClock) -> None:
    desk.ask("1d", trial=True)
    clock.at += 14 * DAY
    as_much_as_may_wait(desk)
    assert told(desk, "1d") == told(desk, None, ["1d"]) == ("trial-ended", None)


def test_what_would_be_told_again_of_another_frequency_is_no_remedy(desk: Desk, clock: SetClock) -> None:
    desk.refuse(desk.ask("1h").id)
    with_rule(desk, "refuse", frequencies=["1d"])
    clock.at += MINUTE
    assert told(desk, None, ["1h", "1d"]) == ("refused", None)
    assert told(desk, "1d")[1] is not None


@pytest.mark.parametrize(("verdict", "then"), [("approve", "active"), ("refuse", "refused")])
def test_what_the_rules_decide_at_once_may_be_asked_for_however_much_waits(desk: Desk, verdict: str, then: str) -> None:
    as_much_as_may_wait(desk)
    with_rule(desk, verdict)
    send(desk, told(desk, "1d")[1])
    assert desk.may().state == then


REFUSED = [
    _refused,
    _refused_in_grace,
    _renewal_refused_then_ended,
    _upgrade_refused_then_trial_ended,
    _renewal_refused_then_revoked,
    _renewal_refused_then_relinquished,
]


@pytest.mark.parametrize("step", REFUSED)
def test_when_a_refused_cell_may_be_asked_for_again_is_told_and_true(desk: Desk, clock: SetClock, step: Step) -> None:
    step(desk, clock)
    [cell] = [cell for cell in desk.cells() if cell.frequency == "1d"]
    refusal = desk.may().refusal
    assert refusal is not None
    assert cell.reapply_after is not None
    assert refusal.members["reapply_after"] == instant_text(cell.reapply_after)
    assert "`reapply_after`" in refusal.detail
    clock.at = cell.reapply_after - MS
    with pytest.raises(Cooldown):
        desk.ask("1d")
    clock.at += MS
    over = desk.may().refusal
    assert over is not None
    assert over.code == "refused" or "`reapply_after`" not in over.detail
    desk.ask("1d")
