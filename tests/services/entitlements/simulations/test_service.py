"""A draft of rules on past requests."""

from typing import Any

import pytest
from sqlalchemy import text

from services.entitlements.simulations.schemas import Simulation, SimulationOut
from shared.principal import Principal
from tests.services.entitlements.desk import Desk
from tests.services.entitlements.fakes import ADMIN, DAY, OPS, QUANT, T0, SetClock


def said(verdict: str, name: str, **when: Any) -> dict[str, Any]:
    return {"name": name, "when": when, "verdict": verdict, "reason": f"Because {name}.", "reason_code": name}


def simulated(desk: Desk, *rules: dict[str, Any], by: Principal = OPS, **more: Any) -> SimulationOut:
    return desk.simulations.simulate(Simulation.model_validate({"rules": list(rules), **more}), by)


def test_a_draft_is_told_what_ops_decided_against_it(desk: Desk) -> None:
    approved, refused, pending = desk.ask("1h"), desk.ask("1d"), desk.ask("1mo")
    desk.decide(approved.id, outcome="approve")
    desk.refuse(refused.id)
    seen = simulated(desk, said("refuse", "no-hours", frequencies=["1h"]), said("approve", "days", frequencies=["1d"]))
    assert (seen.items, seen.more) == (3, False)
    assert seen.answered.model_dump() == {"approve": 0, "refuse": 0, "refer": 3, "error": 0}
    assert seen.draft.model_dump() == {"approve": 1, "refuse": 1, "refer": 1, "error": 0}
    assert [(c.request, c.frequency, c.decided, c.draft, c.rule) for c in seen.contradicted] == [
        (refused.id, "1d", "refused", "approve", "days"),
        (approved.id, "1h", "approved", "refuse", "no-hours"),
    ]
    assert {(c.decided_by, c.decided_at, c.account_name) for c in seen.contradicted} == {(OPS.account, T0, QUANT.name)}
    assert pending.id not in {c.request for c in seen.changed}


def test_a_draft_that_agrees_with_ops_or_leaves_it_to_ops_contradicts_nobody(desk: Desk) -> None:
    desk.decide(desk.ask("1h").id, outcome="approve")
    desk.refuse(desk.ask("1d").id)
    agreeing = said("approve", "hours", frequencies=["1h"]), said("refuse", "no-days", frequencies=["1d"])
    for rules in (agreeing, (), (said("refer", "later"),)):
        assert simulated(desk, *rules).contradicted == []


def test_automatic_outcomes_that_would_be_others_are_listed(desk: Desk) -> None:
    given = desk.ask("1d", trial=True)
    seen = simulated(desk)
    [change] = seen.changed
    assert (change.request, change.answered, change.draft, change.rule) == (given.id, "approve", "refer", None)
    assert seen.contradicted == []
    first = desk.rules.find(1).rules
    assert simulated(desk, *(rule.model_dump(mode="json", exclude_none=True) for rule in first)).changed == []


def test_the_past_is_as_it_was_then(desk: Desk, clock: SetClock) -> None:
    desk.ask("1d", trial=True)
    clock.at += 100 * DAY
    desk.session.execute(text("update entitlements.accounts set standing = 'blocked'"))
    used = said("refuse", "used", trial_used=True)
    blocked = said("refuse", "blocked", standing="blocked")
    assert simulated(desk, used, blocked).draft.refuse == 0
    capped = said("approve", "one", trial=True) | {"cap": {"automatic_approvals": 1, "days": 1}}
    assert simulated(desk, capped).draft.approve == 1


@pytest.mark.parametrize(
    ("where", "items", "more"),
    [
        ({}, 6, False),
        ({"limit": 6}, 6, False),
        ({"limit": 5}, 5, True),
        ({"since": T0 + DAY}, 4, False),
        ({"until": T0 + DAY}, 2, False),
        ({"since": T0 + DAY, "until": T0 + 2 * DAY, "limit": 1}, 1, True),
    ],
)
def test_it_looks_at_so_many_of_the_newest_in_a_period(
    desk: Desk, clock: SetClock, where: dict[str, Any], items: int, more: bool
) -> None:
    for day in range(3):
        clock.at = T0 + day * DAY
        desk.ask("1h", "1d", dataset=f"D{day}")
    seen = simulated(desk, **where)
    assert (seen.items, seen.more) == (items, more)


def test_it_writes_nothing(desk: Desk) -> None:
    desk.ask("1h", "1d", trial=True)
    before = desk.counts()
    simulated(desk, said("approve", "all"))
    assert desk.counts() == before
    assert desk.rules.find(None).version == 1
    assert not desk.session.new
    assert not desk.session.dirty


def test_a_draft_is_asked_about_its_author_s_items_as_their_own_rules(desk: Desk) -> None:
    asked = desk.ask("1d", by=OPS)
    everything = said("approve", "all")
    for by, outcome, rule in ((OPS, "refer", "own-rules"), (ADMIN, "approve", "all")):
        seen = simulated(desk, everything, by=by)
        assert seen.draft.model_dump() == {"approve": 0, "refuse": 0, "refer": 0, "error": 0, outcome: 1}
        assert [(c.request, c.rule) for c in seen.changed] == ([] if rule == "own-rules" else [(asked.id, rule)])
