"""What would become of a request, on the wire."""

from typing import Literal

from pydantic import Field

from services.entitlements.requests.schemas import Skipped
from shared.wire import Output


class PreviewItem(Output):
    """What would become of one frequency."""

    frequency: str
    outcome: Literal["approved", "refused", "pending"] = Field(description="`pending`: Ops would decide.")
    rule: str | None = Field(description="The rule that says so; null where none speaks.", examples=["short-trial"])
    reason: str | None = Field(examples=["Short trials are given at once."])
    reason_code: str | None = Field(examples=["short-trial"])


class PreviewOut(Output):
    """What a request would be answered with now; nothing was written."""

    dataset: str
    trial: bool
    duration_days: int | None
    items: list[PreviewItem]
    skipped: list[Skipped]
