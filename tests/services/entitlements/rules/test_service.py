"""Asking the rules, showing them and replacing them."""

from typing import Any

import pytest
from prometheus_client import REGISTRY
from sqlalchemy import event, insert, select, text
from sqlalchemy.exc import DBAPIError
from sqlmodel import col

from services.entitlements.requests.entities import RequestItem
from services.entitlements.rules.entities import RuleVersion
from services.entitlements.rules.errors import RulesChanged, RulesVersionNotFound
from services.entitlements.rules.schemas import NewRules
from services.entitlements.rules.service import RuleService
from tests.services.entitlements.desk import Desk
from tests.services.entitlements.fakes import ADMIN, DAY, MS, QUANT, T0, SetClock, person

REFER: dict[str, Any] = {"name": "later", "when": {}, "verdict": "refer", "reason": "Later.", "reason_code": "later"}


def replaced(desk: Desk, *rules: dict[str, Any], replaces: int = 1) -> Any:
    new = NewRules.model_validate({"replaces": replaces, "note": "A test", "rules": list(rules)})
    return desk.rules.replace(new, ADMIN)


def test_the_first_version_comes_with_the_program(desk: Desk) -> None:
    first = desk.rules.find(None)
    assert (first.version, first.author, [version.version for version in first.history]) == (1, None, [1])
    names = ["account-blocked", "account-closed", "trial-already-used", "short-trial"]
    assert [rule.name for rule in first.rules] == names


def test_a_version_is_replaced_by_who_looked_at_it(desk: Desk) -> None:
    second = replaced(desk, REFER)
    assert (second.version, second.author, second.author_name, second.note) == (2, ADMIN.account, "Adam", "A test")
    assert second.created_at == T0
    assert [version.version for version in second.history] == [2, 1]
    assert desk.rules.find(1).rules != second.rules
    [row] = desk.audited("rules.replaced")
    assert (row.actor, row.data) == (str(ADMIN.account), {"version": 2, "replaces": 1})


@pytest.mark.parametrize("replaces", [0, 1, 3])
def test_who_looked_at_another_version_is_refused(desk: Desk, replaces: int) -> None:
    replaced(desk, REFER)
    with pytest.raises(RulesChanged) as refused, desk.session.begin_nested():
        replaced(desk, REFER, replaces=replaces)
    assert refused.value.members == {"version": 2}
    assert len(desk.audited("rules.replaced")) == 1


def test_a_version_that_never_was_is_not_found(desk: Desk) -> None:
    with pytest.raises(RulesVersionNotFound):
        desk.rules.find(7)


@pytest.mark.parametrize("change", ["update entitlements.rules set note = 'x'", "delete from entitlements.rules"])
def test_versions_are_only_ever_added(desk: Desk, change: str) -> None:
    with pytest.raises(DBAPIError, match="permission denied"), desk.session.begin_nested():
        desk.session.execute(text(change))


def test_many_cells_are_predicted_with_as_many_queries_as_one(desk: Desk) -> None:
    desk.give("1d", trial=True)
    cells = [(f"D{number}", frequency) for number in range(40) for frequency in ("1h", "1d", "1mo")]
    counted: list[str] = []
    event.listen(desk.session.get_bind(), "before_cursor_execute", lambda *heard: counted.append(heard[2]))
    found = desk.rules.predict(QUANT.account_id, [*cells, ("BTC", "1d")], trial=True)
    many = len(counted)
    desk.rules.predict(QUANT.account_id, [("BTC", "1d")], trial=True)
    assert (many, len(counted)) == (4, 8)
    assert [found["D1", frequency].outcome for frequency in ("1h", "1d", "1mo")] == ["refer", "approve", "approve"]
    assert (found["BTC", "1d"].outcome, found["BTC", "1d"].reason_code) == ("refuse", "trial-already-used")


def test_a_standard_grant_is_referred(desk: Desk) -> None:
    assert desk.rules.predict(QUANT.account_id, [("BTC", "1d")])["BTC", "1d"].outcome == "refer"


def failures() -> float:
    """How often rules failed, as Prometheus is told."""
    return REGISTRY.get_sample_value("tickgate_faults_total", {"service": "entitlements", "what": "rules"}) or 0.0


def test_a_rule_that_fails_is_shown_to_those_who_watch(desk: Desk) -> None:
    broken = {"name": "from-the-future", "when": {"moon": "full"}, "verdict": "approve"}
    desk.session.execute(insert(RuleVersion).values(version=2, note="By hand", rules=[broken], created_at=T0))
    before = failures()
    desk.ask("1d")
    assert failures() == before + 1


def test_a_rule_that_makes_no_sense_any_more_is_an_error_and_counted(desk: Desk) -> None:
    broken = {"name": "from-the-future", "when": {"moon": "full"}, "verdict": "approve"}
    desk.session.execute(insert(RuleVersion).values(version=2, note="By hand", rules=[broken], created_at=T0))
    failed: list[Any] = []
    rules = RuleService(desk.session, desk.clock, failed.append)
    assert rules.predict(QUANT.account_id, [("BTC", "1d")])["BTC", "1d"].outcome == "error"


def test_a_block_that_ended_by_itself_refuses_nothing_any_more(desk: Desk, clock: SetClock) -> None:
    desk.block(until=T0 + DAY)
    clock.at = T0 + DAY - MS
    assert desk.rules.predict(QUANT.account_id, [("BTC", "1d")])["BTC", "1d"].rule == "account-blocked"
    clock.at = T0 + DAY
    assert desk.rules.predict(QUANT.account_id, [("BTC", "1d")])["BTC", "1d"].inputs.standing == "good"
    [item] = desk.ask("1d", trial=True).items
    assert (item.status, item.reason_code) == ("approved", "short-trial")


APPROVE = {**REFER, "name": "all", "verdict": "approve"}


def test_an_approval_by_one_s_own_rules_is_left_to_ops_and_so_foretold(desk: Desk) -> None:
    replaced(desk, APPROVE)
    [seen] = desk.preview("1d", by=ADMIN).items
    predicted = [cell.predictions for cell in desk.cells(who=ADMIN) if cell.predictions]
    told = {(p.standard.outcome, p.trial.rule) for p in predicted}
    [item] = desk.ask("1d", by=ADMIN).items
    assert {seen.outcome, item.status} == {"pending"}
    assert told == {("pending", "own-rules")}
    assert (seen.rule, item.reason_code, item.outcome_by) == ("own-rules", "own-rules", None)
    [trace] = desk.session.scalars(select(col(RequestItem.trace)))
    assert trace is not None
    assert [(v["rule"], v["verdict"]) for v in trace["verdicts"]] == [("all", "approve"), ("own-rules", "refer")]
    assert desk.told("access.decided") == []


def test_the_same_rules_approve_for_others_and_those_of_another_for_their_author_of_before(desk: Desk) -> None:
    replaced(desk, APPROVE)
    assert desk.ask("1d").status == "approved"
    other = NewRules.model_validate({"replaces": 2, "note": "Looked at", "rules": [APPROVE]})
    desk.rules.replace(other, person("admin", "Ann"))
    assert desk.ask("1d", by=ADMIN).status == "approved"


def test_one_s_own_rules_refuse_oneself(desk: Desk) -> None:
    replaced(desk, {**REFER, "verdict": "refuse"})
    assert desk.ask("1d", by=ADMIN).status == "refused"


def test_a_rule_that_makes_no_sense_is_shown_to_whoever_repairs_it(desk: Desk) -> None:
    broken = {"name": "from-the-future", "when": {"moon": "full"}, "verdict": "approve"}
    row = {"version": 2, "note": "By hand", "rules": [broken, REFER], "created_at": T0}
    desk.session.execute(insert(RuleVersion).values(row))
    shown = desk.rules.find(None)
    assert (shown.unreadable, [rule.name for rule in shown.rules]) == ([broken], ["later"])
    assert replaced(desk, REFER, replaces=2).unreadable == []
