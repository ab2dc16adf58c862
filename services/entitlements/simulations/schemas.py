"""Simulations on the wire."""

from datetime import datetime
from typing import Any, Literal, Self
from uuid import UUID

from pydantic import ConfigDict, Field, model_validator

from services.entitlements.rules.schemas import SHORT_TRIAL, TRIAL_USED, Outcome, Rules
from shared.wire import Input, Instant, Output

EXAMPLE: dict[str, Any] = {"rules": [TRIAL_USED, SHORT_TRIAL], "since": "2026-01-01", "limit": 500}


class Simulation(Input):
    """A draft of rules, and the past requests that it is asked about."""

    model_config = ConfigDict(json_schema_extra={"examples": [EXAMPLE]})

    rules: Rules
    since: Instant | None = Field(default=None, description="Only requests made at this instant or later.")
    until: Instant | None = Field(default=None, description="Only requests made before this instant.")
    limit: int = Field(default=500, ge=1, le=1000, description="At most this many items, the newest of them.")

    @model_validator(mode="after")
    def _some_time(self) -> Self:
        if self.since is not None and self.until is not None and self.since >= self.until:
            raise ValueError("`since` is before `until`")
        return self


class Tally(Output):
    """How often each was the outcome; `refer` and `error` leave it to Ops."""

    approve: int = 0
    refuse: int = 0
    refer: int = 0
    error: int = 0


class ItemRef(Output):
    """An item of a past request."""

    request: UUID
    account: UUID
    account_name: str | None
    dataset: str
    frequency: str


class Contradiction(ItemRef):
    """Ops decided the opposite of what the draft says."""

    decided: Literal["approved", "refused"]
    decided_by: UUID | None
    decided_at: datetime
    draft: Outcome
    rule: str | None = Field(description="The rule of the draft that says so.")


class Change(ItemRef):
    """The rules of that time answered something else than the draft."""

    answered: Outcome
    draft: Outcome
    rule: str | None = Field(description="The rule of the draft that says so.")


class SimulationOut(Output):
    """What the draft would have answered, from what the rules of the time were told."""

    items: int = Field(description="How many items were looked at.")
    more: bool = Field(description="Whether there are older ones that were left out.")
    answered: Tally = Field(description="What the rules of the time answered.")
    draft: Tally = Field(description="What the draft answers.")
    contradicted: list[Contradiction]
    changed: list[Change]
