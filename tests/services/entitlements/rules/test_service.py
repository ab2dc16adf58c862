"""Asking the rules, showing them and replacing them."""

from typing import Any

import pytest
from prometheus_client import REGISTRY
from sqlalchemy import event, insert, text
from sqlalchemy.exc import DBAPIError

from services.entitlements.rules.entities import RuleVersion
from services.entitlements.rules.errors import RulesChanged, RulesVersionNotFound
from services.entitlements.rules.schemas import NewRules
from services.entitlements.rules.service import RuleService
from tests.services.entitlements.desk import Desk
from tests.services.entitlements.fakes import ADMIN, DAY, MS, QUANT, T0, SetClock

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


def test_a_rule_that_makes_no_sense_is_shown_to_whoever_repairs_it(desk: Desk) -> None:
    broken = {"name": "from-the-future", "when": {"moon": "full"}, "verdict": "approve"}
    row = {"version": 2, "note": "By hand", "rules": [broken, REFER], "created_at": T0}
    desk.session.execute(insert(RuleVersion).values(row))
    shown = desk.rules.find(None)
    assert (shown.unreadable, [rule.name for rule in shown.rules]) == ([broken], ["later"])
    assert replaced(desk, REFER, replaces=2).unreadable == []
