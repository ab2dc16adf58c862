"""What rules answer: a table, and what holds for every set of them in every order."""

from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from services.entitlements.rules.policy import AnyRule, Unreadable, evaluate, rule_of
from services.entitlements.rules.schemas import Facts, NewRules, Rule
from tests.services.entitlements.fakes import DAY, MS, T0

TRIAL: dict[str, Any] = {
    "dataset": "BTC",
    "frequency": "1d",
    "trial": True,
    "duration_days": 14,
    "role": "quant",
    "standing": "good",
    "trial_used": False,
    "renewal": False,
    "asked_at": T0,
}


def facts(**other: Any) -> Facts:
    return Facts.model_validate({**TRIAL, **other})


def rule(verdict: str, name: str = "some", cap: dict[str, int] | None = None, **when: Any) -> Rule:
    said = {"name": name, "when": when, "verdict": verdict, "reason": f"{name}.", "reason_code": name}
    return Rule.model_validate(said | ({"cap": cap} if cap else {}))


@pytest.mark.parametrize(
    ("said", "outcome"),
    [
        ("", "refer"),
        ("approve", "approve"),
        ("refuse", "refuse"),
        ("refer", "refer"),
        ("approve approve", "approve"),
        ("approve refer", "refer"),
        ("approve refer refuse", "refuse"),
        ("approve refuse", "refuse"),
        ("refuse error", "error"),
        ("approve error", "error"),
    ],
)
def test_any_refusal_wins_else_any_referral_else_an_approval_and_an_error_leaves_it_to_ops(
    said: str, outcome: str
) -> None:
    rules: list[AnyRule] = [
        Unreadable(f"r{number}") if verdict == "error" else rule(verdict, f"r{number}")
        for number, verdict in enumerate(said.split())
    ]
    assert evaluate(rules, facts(), version=1).outcome == outcome


@pytest.mark.parametrize(
    ("when", "other", "concerned"),
    [
        ({}, {}, True),
        ({"trial": True}, {}, True),
        ({"trial": False}, {}, False),
        ({"trial_used": True}, {}, False),
        ({"trial_used": True}, {"trial_used": True}, True),
        ({"renewal": True}, {}, False),
        ({"renewal": True}, {"renewal": True}, True),
        ({"frequencies": ["1d", "1mo"]}, {}, True),
        ({"frequencies": ["1h"]}, {}, False),
        ({"datasets": ["BTC"]}, {}, True),
        ({"datasets": ["ETH"]}, {}, False),
        ({"roles": ["ops", "admin"]}, {}, False),
        ({"roles": ["quant"]}, {}, True),
        ({"max_duration_days": 14}, {}, True),
        ({"max_duration_days": 13}, {}, False),
        ({"standing": "blocked"}, {}, False),
        ({"standing": "blocked"}, {"standing": "blocked"}, True),
        ({"trial": True, "frequencies": ["1h"]}, {}, False),
    ],
)
def test_a_rule_speaks_where_all_that_it_names_is_so(
    when: dict[str, Any], other: dict[str, Any], concerned: bool
) -> None:
    answer = evaluate([rule("refuse", **when)], facts(**other), version=1)
    assert [verdict.verdict for verdict in answer.verdicts] == ["refuse" if concerned else "abstain"]


@pytest.mark.parametrize("standing", ["blocked", "closed"])
def test_an_approving_rule_speaks_for_good_standing_only_said_or_not(standing: str) -> None:
    assert evaluate([rule("approve")], facts(standing=standing), version=1).outcome == "refer"
    with pytest.raises(ValidationError):
        rule("approve", standing=standing)


@pytest.mark.parametrize(
    ("ages", "outcome"),
    [
        ([], "approve"),
        ([timedelta(0)], "approve"),
        ([timedelta(0), timedelta(0)], "refer"),
        ([DAY, 30 * DAY - MS], "refer"),
        ([DAY, 30 * DAY], "approve"),
        ([30 * DAY, 31 * DAY, 300 * DAY], "approve"),
    ],
)
def test_a_cap_counts_the_approvals_of_its_days(ages: list[timedelta], outcome: str) -> None:
    capped = rule("approve", cap={"automatic_approvals": 2, "days": 30})
    assert evaluate([capped], facts(approvals=[T0 - age for age in ages]), version=1).outcome == outcome


def test_a_failing_rule_is_named_in_the_trace_with_its_error_and_says_nothing_else() -> None:
    broken = rule_of({"name": "from-the-future", "when": {"moon": "full"}, "verdict": "approve"})
    trace = evaluate([rule("approve", "a-first"), broken], facts(), version=7)
    assert (trace.version, trace.outcome, trace.rule, trace.reason) == (7, "error", "from-the-future", None)
    assert [(v.rule, v.verdict, v.error) for v in trace.verdicts] == [
        ("a-first", "approve", None),
        ("from-the-future", "error", "UnreadableRule"),
    ]
    assert trace.inputs == facts()


NAMES = st.sampled_from([f"r{number}" for number in range(8)])
WHENS = st.fixed_dictionaries(
    {},
    optional={
        "trial": st.booleans(),
        "trial_used": st.booleans(),
        "renewal": st.booleans(),
        "frequencies": st.lists(st.sampled_from(["1h", "1d", "1mo"]), min_size=1, unique=True),
        "max_duration_days": st.integers(1, 30),
    },
)
RULES = st.one_of(
    st.builds(
        lambda name, verdict, when: rule(verdict, name, **when),
        NAMES,
        st.sampled_from(["approve", "refuse", "refer"]),
        WHENS,
    ),
    st.builds(Unreadable, NAMES),
)
SETS = st.lists(RULES, max_size=8, unique_by=lambda made: made.name)
ANY_FACTS = st.builds(
    facts,
    trial=st.booleans(),
    trial_used=st.booleans(),
    renewal=st.booleans(),
    frequency=st.sampled_from(["1h", "1d", "1mo"]),
    duration_days=st.integers(1, 30),
    standing=st.sampled_from(["good", "blocked", "closed"]),
)


@given(SETS.flatmap(lambda made: st.tuples(st.just(made), st.permutations(made))), ANY_FACTS)
def test_the_order_of_rules_changes_nothing(orders: tuple[list[AnyRule], list[AnyRule]], told: Facts) -> None:
    first, second = orders
    assert evaluate(first, told, version=1) == evaluate(second, told, version=1)


@given(SETS, ANY_FACTS)
def test_an_approval_needs_an_approving_rule_good_standing_and_nobody_against_it(
    rules: list[AnyRule], told: Facts
) -> None:
    trace = evaluate(rules, told, version=1)
    said = {verdict.verdict for verdict in trace.verdicts}
    assert (trace.outcome == "approve") == ("approve" in said and not said & {"error", "refuse", "refer"})
    assert trace.outcome != "approve" or told.standing == "good"


GOOD: dict[str, Any] = {"name": "a", "when": {}, "verdict": "approve", "reason": "Fine.", "reason_code": "fine"}


@pytest.mark.parametrize(
    "wrong",
    [
        {"verdict": "abstain"},
        {"verdict": "maybe"},
        {"when": {"moon": "full"}},
        {"when": {"trial": 1}},
        {"when": {"frequencies": []}},
        {"when": {"frequencies": ["1d", "1d"]}},
        {"when": {"frequencies": ["1w"]}},
        {"when": {"max_duration_days": 0}},
        {"when": {"max_duration_days": "14"}},
        {"when": {"standing": "blocked"}},
        {"when": {"standing": "bad"}},
        {"when": {"roles": ["anonymous"]}},
        {"when": None},
        {"reason": ""},
        {"reason_code": "Not A Slug"},
        {"name": ""},
        {"surprise": 1},
        {"verdict": "refer", "cap": {"automatic_approvals": 5, "days": 30}},
        {"cap": {"automatic_approvals": 0, "days": 30}},
        {"cap": {"automatic_approvals": 5, "days": 367}},
        {"cap": {"automatic_approvals": 5}},
    ],
)
def test_nonsense_is_no_rule(wrong: dict[str, Any]) -> None:
    Rule.model_validate(GOOD)
    with pytest.raises(ValidationError):
        Rule.model_validate({**GOOD, **wrong})


def test_two_rules_of_one_name_are_no_set() -> None:
    with pytest.raises(ValidationError):
        NewRules.model_validate({"replaces": 1, "note": "Twice", "rules": [GOOD, GOOD]})
