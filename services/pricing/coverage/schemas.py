"""Coverage on the wire."""

from datetime import datetime
from typing import Literal
from uuid import UUID

from pydantic import Field

from shared.wire import Output


class Prediction(Output):
    """What the rules would answer to asking for one cell now."""

    outcome: Literal["approved", "refused", "pending"] = Field(description="`pending`: Ops would decide.")
    rule: str | None = Field(description="The rule that says so; null where none speaks.", examples=["short-trial"])
    reason: str | None = Field(examples=["Short trials are given at once."])
    reason_code: str | None = Field(examples=["short-trial"])


class Predictions(Output):
    """The same for the two things that can be asked for, each for its default term."""

    standard: Prediction
    trial: Prediction


class Standing(Output):
    """How it stands with one cell, in the words of entitlements."""

    dataset: str
    frequency: str
    state: str
    grant: UUID | None
    request: UUID | None
    starts_at: datetime | None
    ends_at: datetime | None
    reason: str | None
    reapply_after: datetime | None
    predictions: Predictions | None


class CellOut(Output):
    """One frequency of one dataset, as it stands for the caller."""

    dataset: str = Field(examples=["BTC"])
    frequency: str = Field(examples=["1h"])
    state: str = Field(
        description="`active`, `scheduled`, or the code by which a read of it is refused.", examples=["active"]
    )
    grant: UUID | None = Field(description="The grant that this is about.")
    request: UUID | None = Field(description="The request that this is about.")
    starts_at: datetime | None = Field(description="When access begins, or began.")
    ends_at: datetime | None = Field(description="When access ends, or ended.")
    reason: str | None = Field(description="What Ops said.")
    reapply_after: datetime | None = Field(description="No request before this instant.")
    predictions: Predictions | None = Field(
        description="Where it is not held: what the rules would answer to asking for it now, whatever was asked before."
    )
    first: datetime | None = Field(description="The start of the first bar stored.")
    last: datetime | None = Field(description="The start of the last bar stored.")


class OwnCoverage(Output):
    """Every frequency of every dataset on offer, by symbol, shortest first."""

    data: list[CellOut]
