"""Bulk decisions on the wire."""

from typing import Any, Self
from uuid import UUID

from pydantic import ConfigDict, Field, model_validator

from services.entitlements.decisions.schemas import APPROVED, REFUSED, VERDICTS, Decision, ItemVerdict
from services.entitlements.requests.schemas import OpsItemOut
from shared.wire import Input, Output, Text

ONE, ANOTHER = "0198c5d2-5b7e-7c3a-9f10-3f6f3f0f9a11", "0198c5d2-5b7e-7c3a-9f10-3f6f3f0f9a12"


class RequestVerdict(ItemVerdict):
    """The outcome for one frequency of one of many requests."""

    model_config = ConfigDict(
        json_schema_extra={"anyOf": VERDICTS, "examples": [{"request": ONE, "frequency": "1h", **APPROVED}]}
    )

    request: UUID


class Decisions(Input):
    """Outcomes for items of many requests, each item once."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "decisions": [
                        {"request": ONE, "frequency": "1h", **APPROVED},
                        {"request": ANOTHER, "frequency": "1d", **REFUSED},
                    ],
                    "note": "Checked with Sales.",
                }
            ]
        }
    )

    decisions: list[RequestVerdict] = Field(min_length=1, max_length=100, json_schema_extra={"uniqueItems": True})
    note: Text | None = Field(default=None, description="For Ops only, on every item; the Quants never see it.")

    @model_validator(mode="after")
    def _each_once(self) -> Self:
        if len({(verdict.request, verdict.frequency) for verdict in self.decisions}) < len(self.decisions):
            raise ValueError("each frequency of a request once")
        return self

    def of(self, verdict: RequestVerdict) -> Decision:
        """The decision of one request that this outcome is by itself."""
        own = verdict.model_dump(exclude={"request"}, exclude_none=True)
        return Decision.model_validate({"decisions": [own], "note": self.note})


class Decided(Output):
    """What came of one outcome: the item as it is now, or the problem that kept it as it was."""

    request: UUID
    frequency: str = Field(examples=["1h"])
    status: int = Field(description="As if it had been decided by itself: 200, or the problem's.", examples=[200])
    item: OpsItemOut | None
    problem: dict[str, Any] | None = Field(description="RFC 9457, like any refusal; null where it was decided.")


class DecidedList(Output):
    """A result for each outcome, in their order."""

    data: list[Decided]
