"""Decisions on the wire."""

from collections.abc import Sequence
from typing import Literal, Self

from pydantic import ConfigDict, Field, JsonValue, model_validator

from services.entitlements.grants.schemas import ENDS, OTHERS, Code, Frequency, Terms
from services.entitlements.requests.schemas import distinct
from shared.wire import GIVEN, Text, absent

REFUSED: dict[str, JsonValue] = {
    "outcome": "refuse",
    "reason": "The licence does not cover hourly prices.",
    "reason_code": "licence-missing",
}
APPROVED: dict[str, JsonValue] = {"outcome": "approve", "reason": "Covered by the research licence."}
TERMS = ("starts_at", *ENDS, "trial", "grace_days")
APPROVALS: list[JsonValue] = [{"properties": {"outcome": {"const": "approve"}, **others}} for others in OTHERS.values()]
VERDICTS: list[JsonValue] = [
    *APPROVALS,
    {"required": ["reason"], "properties": {"outcome": {"const": "refuse"}, "reason": GIVEN, **absent(*TERMS)}},
]
FORMS: list[JsonValue] = [
    {"required": ["outcome"], "properties": absent("decisions"), "anyOf": VERDICTS},
    {
        "required": ["decisions"],
        "properties": {"decisions": GIVEN, **absent("outcome", "reason", "reason_code", *TERMS)},
    },
]


class Verdict(Terms):
    """An outcome with its terms or its reason."""

    reason_code: Code | None = Field(default=None, description="A slug of yours, such as `licence-missing`.")
    reason: Text | None = Field(default=None, description="The Quant reads it; needed to refuse.")

    def check(self, outcome: str) -> None:
        """Refusing needs a reason and gives no term; raises ValueError."""
        if outcome == "approve":
            return
        if self.reason is None:
            raise ValueError("refusing needs a reason")
        if any(getattr(self, term) is not None for term in TERMS):
            raise ValueError("a refusal has no term")


class ItemVerdict(Verdict):
    """The outcome for one frequency."""

    model_config = ConfigDict(json_schema_extra={"anyOf": VERDICTS, "examples": [{"frequency": "1h", **APPROVED}]})

    frequency: Frequency
    outcome: Literal["approve", "refuse"]

    @model_validator(mode="after")
    def _complete(self) -> Self:
        self.check(self.outcome)
        return self


class Decision(Verdict):
    """Either `decisions`, an outcome per frequency, or one `outcome` for all that is undecided."""

    model_config = ConfigDict(
        json_schema_extra={
            "anyOf": FORMS,
            "examples": [
                {**APPROVED, "note": "Checked with Sales."},
                {**REFUSED},
                {"decisions": [{"frequency": "1d", **APPROVED}, {"frequency": "1h", **REFUSED}]},
            ],
        }
    )

    outcome: Literal["approve", "refuse"] | None = None
    decisions: list[ItemVerdict] | None = Field(default=None, min_length=1, max_length=10)
    note: Text | None = Field(default=None, description="For Ops only; the Quant never sees it.")

    @model_validator(mode="after")
    def _one_form(self) -> Self:
        if (self.outcome is None) == (self.decisions is None):
            raise ValueError("either `outcome` for everything undecided, or `decisions`, one for each frequency")
        if self.outcome is not None:
            self.check(self.outcome)
            return self
        if self.model_dump(exclude={"decisions", "note"}, exclude_none=True):
            raise ValueError("terms and reasons stand inside `decisions`")
        distinct([verdict.frequency for verdict in self.decisions or []])
        return self

    def for_items(self, undecided: Sequence[str]) -> list[ItemVerdict]:
        """An outcome per frequency, whichever form was used."""
        if self.decisions is not None:
            return self.decisions
        shared = self.model_dump(exclude={"decisions", "note"}, exclude_none=True)
        return [ItemVerdict.model_validate({"frequency": frequency, **shared}) for frequency in undecided]

    def pointer(self, verdict: ItemVerdict) -> str:
        """Where in the body the terms of this outcome stand."""
        return "" if self.decisions is None else f"/decisions/{self.decisions.index(verdict)}"
