"""Grants on the wire."""

from datetime import datetime
from typing import Annotated, Any, Literal, Self
from uuid import UUID

from pydantic import ConfigDict, Field, JsonValue, StringConstraints, model_validator

from shared.pagination import Page
from shared.wire import Input, Instant, Output, Said, Text, absent

Frequency = Literal["1m", "1h", "1d", "1mo"]
GrantStatus = Literal["scheduled", "active", "ended", "revoked", "superseded", "relinquished", "retired"]
Symbol = Annotated[str, StringConstraints(pattern=r"^[A-Z0-9]{1,12}$")]
Days = Annotated[int, Field(ge=1, le=730, examples=[90])]
GraceDays = Annotated[
    int,
    Field(
        ge=0,
        le=30,
        description="For how long access goes on past its end, once, while a renewal asked for in time is undecided; "
        "not at all, unless said, and never for a trial.",
        examples=[7],
    ),
]
Code = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9-]{0,63}$")]
ENDS = ("duration_days", "ends_at", "no_end")
OTHERS = {end: absent(*(other for other in ENDS if other != end)) for end in ENDS}
ONE_END: list[JsonValue] = [{"properties": others} for others in OTHERS.values()]


class Terms(Input):
    """For how long: `duration_days`, `ends_at` or `no_end`; none of them means what was asked, or the default."""

    starts_at: Instant | None = Field(default=None, description="Now, unless said otherwise.")
    duration_days: Days | None = Field(default=None, description="Counted from the start.")
    ends_at: Instant | None = Field(default=None, description="The first instant without access.")
    no_end: Said | None = Field(default=None, description="Open-ended; has to be said.")
    trial: bool | None = Field(default=None, description="A trial of at most 14 days; what was asked, unless said.")
    grace_days: GraceDays | None = None

    @model_validator(mode="after")
    def _one_end(self) -> Self:
        if sum(end is not None for end in (self.duration_days, self.ends_at, self.no_end)) > 1:
            raise ValueError("at most one of duration_days, ends_at and no_end")
        return self


class Revocation(Input):
    """Why a grant is revoked; the Quant is told."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"reason": "The licence ended.", "reason_code": "licence-ended"}]}
    )

    reason: Text = Field(examples=["The licence ended."])
    reason_code: Code | None = Field(default=None, examples=["licence-ended"])
    effective_at: Instant | None = Field(
        default=None, description="At once, unless said otherwise; till then it can be moved or cancelled."
    )


class GrantsQuery(Page):
    """Which grants."""

    status: GrantStatus | None = Field(default=None, description="Only those that are this now.")
    account: UUID | None = Field(default=None, description="Ops only; a Quant sees their own.")
    dataset: Symbol | None = Field(default=None, description="Only those on this dataset.")
    frequency: Frequency | None = Field(default=None, description="Only those on this frequency.")
    ending_before: Instant | None = Field(default=None, description="Only those that end before this instant.")
    as_of: Instant | None = Field(
        default=None,
        description="Only those by which one could read at this instant, which is not to come, whatever became of them "
        "since.",
    )


class GrantOut(Output):
    """A right to read one frequency of one dataset in [starts_at, ends_at)."""

    id: UUID
    account: UUID
    dataset: str = Field(examples=["BTC"])
    frequency: str = Field(examples=["1h"])
    kind: Literal["standard", "trial"]
    origin: Literal["rule", "ops", "direct", "renewal"]
    starts_at: datetime
    ends_at: datetime | None
    status: GrantStatus
    revokes_at: datetime | None = Field(description="When it will be revoked, if that is so.")
    grace_days: int = Field(description="How long a renewal asked for in time may keep it going past its end.")
    closed_at: datetime | None
    reason: str | None = Field(description="Why it was closed or will be revoked, or else why it was given.")
    request: UUID | None
    supersedes: UUID | None


class OpsGrantOut(GrantOut):
    """A grant as Ops sees it."""

    account_name: str | None
    granted_by: UUID | None = Field(description="Who decided; null where a rule did.")


class GrantList(Output):
    """A page of grants, oldest first."""

    data: list[OpsGrantOut | GrantOut]
    next_cursor: str | None = None


def as_json(grant: GrantOut) -> dict[str, Any]:
    """The grant inside a notification."""
    told = {"id", "dataset", "frequency", "kind", "starts_at", "ends_at", "revokes_at", "reason"}
    return grant.model_dump(mode="json", include=told)
