"""Requests on the wire."""

from datetime import datetime
from typing import Annotated, Literal, Self
from uuid import UUID

from pydantic import AfterValidator, ConfigDict, Field, model_validator

from services.entitlements.grants.schemas import Days, Frequency, Symbol
from services.entitlements.rules.schemas import Trace
from shared.pagination import Page
from shared.wire import Input, Output, Text

ItemStatus = Literal["pending", "needs-info", "approved", "refused", "withdrawn", "lapsed"]
RequestStatus = Literal["pending", "approved", "refused", "withdrawn", "lapsed", "partially-approved", "closed"]
TRIAL_DAYS = 14


def distinct(frequencies: list[Frequency]) -> list[Frequency]:
    """Each frequency at most once; raises ValueError."""
    if len(set(frequencies)) < len(frequencies):
        raise ValueError("each frequency once")
    return frequencies


Frequencies = Annotated[
    list[Frequency], Field(min_length=1, max_length=10, examples=[["1h", "1d"]]), AfterValidator(distinct)
]


class NewRequest(Input):
    """What a Quant asks for."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"dataset": "BTC", "frequencies": ["1h", "1d"], "reason": "Backtest of a carry trade"}]
        }
    )

    dataset: Symbol = Field(examples=["BTC"])
    frequencies: Frequencies
    reason: Text | None = Field(default=None, description="Helps Ops decide.", examples=["Backtest of a carry trade"])
    duration_days: Days | None = Field(default=None, description="365 for a standard grant, 14 for a trial.")
    trial: bool = Field(default=False, description="A trial of at most 14 days.")

    @model_validator(mode="after")
    def _short_trial(self) -> Self:
        if self.trial and self.duration_days is not None and self.duration_days > TRIAL_DAYS:
            raise ValueError("a trial lasts at most 14 days")
        return self


class RequestsQuery(Page):
    """Which requests."""

    status: RequestStatus | None = Field(default=None, description="`pending`: at least one item is undecided.")
    dataset: Symbol | None = Field(default=None, description="Only those for this dataset.")
    account: UUID | None = Field(default=None, description="Ops only; a Quant sees their own.")


class ItemOut(Output):
    """One frequency of a request and what became of it."""

    frequency: str
    status: ItemStatus
    outcome_by: Literal["rule", "ops"] | None
    decided_at: datetime | None
    reason_code: str | None
    reason: str | None
    grant: UUID | None


class OpsItemOut(ItemOut):
    """The same for Ops, with who decided and what they noted, and what the rules answered when it was asked for."""

    decided_by: UUID | None
    note: str | None
    trace: Trace | None


class Skipped(Output):
    """A frequency that needed no new item, and why."""

    frequency: str
    why: Literal["already-pending", "already-granted"]
    request: UUID | None = None
    grant: UUID | None = None
    ends_at: datetime | None = None


class MessageOut(Output):
    """A question by Ops about the request, or its owner's answer."""

    author_role: Literal["ops", "quant"]
    frequencies: list[str] = Field(description="Which items it was about.", examples=[["1h"]])
    text: str = Field(examples=["Which desk is this for?"])
    at: datetime


class OpsMessageOut(MessageOut):
    """The same for Ops, with the account that wrote it."""

    author: UUID


class RequestOut(Output):
    """A request; its status is derived from its items."""

    id: UUID
    account: UUID
    dataset: str
    reason: str | None
    trial: bool
    duration_days: int | None
    status: RequestStatus
    awaiting: Literal["ops", "quant"] | None = Field(description="Whose turn it is, while pending.")
    created_at: datetime
    lapse_at: datetime = Field(description="What nobody decided by then lapses.")
    items: list[ItemOut]
    thread: list[MessageOut] = Field(default_factory=list, description="What Ops asked and was answered, oldest first.")
    skipped: list[Skipped] = Field(default_factory=list, description="Only in the answer to the request itself.")


class OpsRequestOut(RequestOut):
    """A request as Ops sees it."""

    account_name: str | None
    items: list[OpsItemOut]  # type: ignore[assignment]  # each item says more
    thread: list[OpsMessageOut] = Field(default_factory=list)  # type: ignore[assignment]  # so does each message


class RequestList(Output):
    """A page of requests, oldest first."""

    data: list[OpsRequestOut | RequestOut]
    next_cursor: str | None = None
