"""Answers about access, for our own services."""

from datetime import datetime
from typing import Any
from uuid import UUID

from pydantic import Field

from services.entitlements.grants.schemas import Frequency, Symbol
from shared.wire import Output, Query


class AccessQuery(Query):
    """Which cell; without a frequency, any of those in `offered`: what is retired may be read under no more."""

    account: UUID
    dataset: Symbol
    frequency: Frequency | None = None
    offered: list[Frequency] = Field(default=[])


class Refusal(Output):
    """The problem that the reader is told."""

    status: int = 403
    code: str
    detail: str
    members: dict[str, Any]


class StampOut(Output):
    """The count of changes in the statement that read the grant."""

    epoch: UUID
    number: int


class AccessOut(Output):
    """Whether it may be read, and what to say if not; a yes that may be remembered says how new it is."""

    allowed: bool
    state: str
    grant: UUID | None
    until: datetime | None
    grace_until: datetime | None = None
    refusal: Refusal | None
    stamp: StampOut | None = None
