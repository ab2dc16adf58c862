"""Extensions on the wire."""

from datetime import datetime
from typing import Self

from pydantic import ConfigDict, Field, JsonValue, model_validator

from services.entitlements.grants.entities import Grant
from services.entitlements.grants.schemas import OTHERS, Days, GraceDays, Terms
from shared.wire import GIVEN, Input, Instant, Said, Text

AN_END: list[JsonValue] = [{"required": [end], "properties": {end: GIVEN, **others}} for end, others in OTHERS.items()]


class Extension(Input):
    """Up to when: `duration_days` from now, `ends_at` or `no_end`; it never becomes less than what is held."""

    model_config = ConfigDict(
        json_schema_extra={"anyOf": AN_END, "examples": [{"duration_days": 90, "reason": "Signed again"}]}
    )

    duration_days: Days | None = Field(default=None, description="Counted from now.")
    ends_at: Instant | None = Field(default=None, description="The first instant without access.")
    no_end: Said | None = Field(default=None, description="Open-ended; has to be said.")
    grace_days: GraceDays | None = None
    reason: Text | None = Field(default=None, description="The Quant is told.", examples=["Signed again"])

    @model_validator(mode="after")
    def _one_end(self) -> Self:
        if sum(end is not None for end in (self.duration_days, self.ends_at, self.no_end)) != 1:
            raise ValueError("one of duration_days, ends_at and no_end")
        return self

    def terms(self, old: Grant, now: datetime) -> Terms:
        """The same as the terms of a decision: from now, or from the start of what has not begun; its grace stays."""
        said = self.model_dump(exclude={"reason"}, exclude_none=True)
        kept = {"starts_at": max(old.starts_at, now), "trial": old.kind == "trial", "grace_days": old.grace_days}
        return Terms.model_validate({**kept, **said})
