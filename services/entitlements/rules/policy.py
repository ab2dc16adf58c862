"""What a set of rules answers about the facts of an item; in whatever order the rules stand."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from pydantic import ValidationError

from services.entitlements.rules.errors import UnreadableRule
from services.entitlements.rules.schemas import Cap, Facts, Outcome, Rule, Said, Standing, Trace, Verdict, When

WINNERS: tuple[Outcome, ...] = ("error", "refuse", "refer", "approve")

STANDING = {
    "blocked": "Your account is blocked, so it cannot be given anything new.",
    "closed": "Your account is closed.",
}


OWN_RULES = Rule(
    name="own-rules",
    when=When(),
    verdict="refer",
    reason="The rules that approve this are yours, and nobody decides their own request: Ops decides.",
    reason_code="own-rules",
)


@dataclass(frozen=True)
class Unreadable:
    """A stored rule that makes no sense; whoever asks it gets an error."""

    name: str


AnyRule = Rule | Unreadable


def rule_of(stored: Mapping[str, Any], number: int = 0) -> AnyRule:
    """A rule as it was stored, whatever became of its form since."""
    try:
        return Rule.model_validate(stored)
    except ValidationError:
        return Unreadable(str(stored.get("name", number)))


def answer(rules: Sequence[AnyRule], facts: Facts, *, version: int, own: bool = False) -> Trace:
    """What the rules say, but no rule is needed to refuse who is blocked or closed; one that fails leaves it to Ops.

    So does an approval by rules that are the asker's `own`.
    """
    trace = evaluate(rules, facts, version=version)
    if facts.standing != "good" and trace.outcome not in ("error", "refuse"):
        return evaluate([*rules, _against(facts.standing)], facts, version=version)
    if own and trace.outcome == "approve":
        return evaluate([*rules, OWN_RULES], facts, version=version)
    return trace


def _against(standing: Standing) -> Rule:
    name, reason = f"account-{standing}", STANDING[standing]
    return Rule(name=name, when=When(standing=standing), verdict="refuse", reason=reason, reason_code=name)


def evaluate(rules: Sequence[AnyRule], facts: Facts, *, version: int) -> Trace:
    """Any refusal wins, else any referral, else an approval; if no rule speaks, it is referred to Ops.

    A rule that fails leaves the item to Ops, whatever the others say. Of several rules that say the same, the first by
    name gives the reason.
    """
    sorted_ = sorted(rules, key=lambda rule: (rule.name, isinstance(rule, Unreadable)))
    verdicts = [_ask(rule, facts) for rule in sorted_]
    said = {verdict.verdict for verdict in verdicts}
    outcome = next((winner for winner in WINNERS if winner in said), "refer")
    teller = next((r for r, v in zip(sorted_, verdicts, strict=True) if v.verdict == outcome), None)
    told = teller if isinstance(teller, Rule) else None
    return Trace(
        version=version,
        outcome=outcome,
        rule=teller.name if teller else None,
        reason=told.reason if told else None,
        reason_code=told.reason_code if told else None,
        verdicts=verdicts,
        inputs=facts,
    )


def _ask(rule: AnyRule, facts: Facts) -> Verdict:
    try:
        return Verdict(rule=rule.name, verdict=verdict_of(rule, facts))
    except Exception as error:
        return Verdict(rule=rule.name, verdict="error", error=type(error).__name__)


def verdict_of(rule: AnyRule, facts: Facts) -> Said:
    """What one rule says; raises UnreadableRule."""
    if isinstance(rule, Unreadable):
        raise UnreadableRule
    return rule.verdict if _concerns(rule, facts) and not _is_used_up(rule.cap, facts) else "abstain"


def _concerns(rule: Rule, facts: Facts) -> bool:
    when = rule.when
    equal = (
        (when.trial, facts.trial),
        (when.trial_used, facts.trial_used),
        (when.renewal, facts.renewal),
        (when.standing or ("good" if rule.verdict == "approve" else None), facts.standing),
    )
    among = ((when.frequencies, facts.frequency), (when.datasets, facts.dataset), (when.roles, facts.role))
    return (
        all(wanted is None or wanted == fact for wanted, fact in equal)
        and all(wanted is None or fact in wanted for wanted, fact in among)
        and (when.max_duration_days is None or facts.duration_days <= when.max_duration_days)
    )


def _is_used_up(cap: Cap | None, facts: Facts) -> bool:
    if cap is None:
        return False
    since = facts.asked_at - timedelta(days=cap.days)
    return sum(approved > since for approved in facts.approvals) >= cap.automatic_approvals
