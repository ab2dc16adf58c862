"""Rules on the wire, and what they are asked about."""

from datetime import datetime
from typing import Annotated, Literal, TypeVar
from uuid import UUID

from pydantic import AfterValidator, ConfigDict, Field, JsonValue, field_validator
from pydantic_core.core_schema import ValidationInfo

from services.entitlements.grants.schemas import Code, Days, Frequency, Symbol
from shared.wire import Input, Output, Query, Text, absent

Standing = Literal["good", "blocked", "closed"]
Said = Literal["approve", "refuse", "refer", "abstain", "error"]
Outcome = Literal["approve", "refuse", "refer", "error"]
T = TypeVar("T")
TRIAL_USED: dict[str, JsonValue] = {
    "name": "trial-already-used",
    "when": {"trial": True, "trial_used": True},
    "verdict": "refuse",
    "reason": "You had a trial of this already; ask for standard access.",
    "reason_code": "trial-already-used",
}
SHORT_TRIAL: dict[str, JsonValue] = {
    "name": "short-trial",
    "when": {"trial": True, "trial_used": False, "frequencies": ["1d", "1mo"], "max_duration_days": 14},
    "verdict": "approve",
    "reason": "Short trials are given at once.",
    "reason_code": "short-trial",
    "cap": {"automatic_approvals": 5, "days": 30},
}


def _distinct(values: list[T]) -> list[T]:
    if len({str(value) for value in values}) < len(values):
        raise ValueError("each once")
    return values


def _named_once(rules: "list[Rule]") -> "list[Rule]":
    if len({rule.name for rule in rules}) < len(rules):
        raise ValueError("each rule has a name of its own")
    return rules


UNIQUE = Field(min_length=1, json_schema_extra={"uniqueItems": True})
OF_THE_GOOD: JsonValue = {"properties": {"standing": {"enum": ["good", None]}}}
APPROVING: JsonValue = {"properties": {"verdict": {"const": "approve"}, "when": OF_THE_GOOD}}
OTHER: JsonValue = {"properties": {"verdict": {"enum": ["refuse", "refer"]}, **absent("cap")}}


class When(Input):
    """What an item must be for a rule to speak; what is left out does not matter."""

    trial: bool | None = Field(default=None, description="A trial is asked for.")
    trial_used: bool | None = Field(default=None, description="The account ever had a trial of this frequency.")
    renewal: bool | None = Field(default=None, description="The account holds it: a renewal, or an upgrade of a trial.")
    frequencies: Annotated[list[Frequency], UNIQUE, AfterValidator(_distinct)] | None = None
    datasets: Annotated[list[Symbol], UNIQUE, Field(max_length=500), AfterValidator(_distinct)] | None = None
    max_duration_days: Days | None = Field(default=None, description="It is asked for no longer than this.")
    standing: Standing | None = Field(default=None, description="An approving rule speaks for a good one only.")
    roles: Annotated[list[Literal["quant", "ops", "admin"]], UNIQUE, AfterValidator(_distinct)] | None = None


class Cap(Input):
    """How often an account is approved automatically; when that is used up, the rule abstains."""

    automatic_approvals: int = Field(ge=1, le=100, examples=[5])
    days: int = Field(ge=1, le=366, description="Counted back from the request.", examples=[30])


class Rule(Input):
    """What is said to an item that is as `when` says; a rule that it does not concern abstains."""

    model_config = ConfigDict(json_schema_extra={"anyOf": [APPROVING, OTHER], "examples": [TRIAL_USED, SHORT_TRIAL]})

    name: Code = Field(examples=["short-trial"])
    when: When
    verdict: Literal["approve", "refuse", "refer"]
    reason: Text = Field(description="The Quant reads it.", examples=["Short trials are given at once."])
    reason_code: Code = Field(examples=["short-trial"])
    cap: Cap | None = Field(default=None, description="For a rule that approves.")

    @field_validator("verdict", mode="after")
    @classmethod
    def _approves_the_good(cls, value: str, info: ValidationInfo) -> str:
        when = info.data.get("when")
        if value == "approve" and when is not None and when.standing not in (None, "good"):
            raise ValueError("only accounts in good standing are approved")
        return value

    @field_validator("cap", mode="after")
    @classmethod
    def _limits_approvals(cls, value: Cap | None, info: ValidationInfo) -> Cap | None:
        if value is not None and info.data.get("verdict") != "approve":
            raise ValueError("only a rule that approves has a cap")
        return value


Rules = Annotated[list[Rule], Field(max_length=100), AfterValidator(_named_once)]


class NewRules(Input):
    """A whole set of rules, to take the place of the version that it names."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"replaces": 1, "note": "Fewer trials", "rules": [TRIAL_USED, SHORT_TRIAL]}]}
    )

    replaces: int = Field(ge=0, le=2**31 - 2, description="The version that you looked at.", examples=[1])
    note: Text = Field(description="Why, for those who come later.", examples=["Fewer trials"])
    rules: Rules


class RulesQuery(Query):
    """Which version."""

    version: int | None = Field(default=None, ge=1, le=2**31 - 1, description="The current one, unless said.")


class VersionOut(Output):
    """Who changed the rules, when and why; the first version came with the program and has no author."""

    version: int
    author: UUID | None
    author_name: str | None
    note: str
    created_at: datetime


class RulesOut(VersionOut):
    """A version of the rules, and all that there were."""

    rules: list[Rule]
    unreadable: list[dict[str, JsonValue]] = Field(
        default=[], description="Stored rules that make no sense to this program: while there are any, Ops decides all."
    )
    history: list[VersionOut] = Field(description="The newest hundred, newest first.")


class Facts(Output):
    """What the rules were told about an item: all that an answer depends on, so that it can be asked for again."""

    model_config = ConfigDict(frozen=True)

    dataset: str
    frequency: str
    trial: bool
    duration_days: int
    role: str
    standing: Standing
    trial_used: bool
    renewal: bool
    asked_at: datetime
    approvals: tuple[datetime, ...] = Field(
        default=(), description="The account's automatic approvals of the year before, the newest hundred."
    )


class Verdict(Output):
    """What one rule said."""

    rule: str
    verdict: Said
    error: str | None = Field(default=None, description="The kind of error, where a rule failed.")


class Trace(Output):
    """What the rules answered about an item, and from what; `error` and `refer` leave it to Ops."""

    version: int
    outcome: Outcome
    rule: str | None = Field(description="The rule that told; null where none did, which refers.")
    reason: str | None
    reason_code: str | None
    verdicts: list[Verdict]
    inputs: Facts
