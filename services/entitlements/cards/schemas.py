"""The decision card on the wire."""

from datetime import datetime
from typing import Literal
from uuid import UUID

from pydantic import Field

from services.entitlements.grants.schemas import OpsGrantOut
from services.entitlements.requests.schemas import ItemStatus, OpsRequestOut
from shared.wire import Output


class Precedent(Output):
    """How Ops decided the same frequency of the same dataset before, for whomever."""

    frequency: str
    account: UUID
    account_name: str | None
    request: UUID
    outcome: Literal["approved", "refused"]
    decided_at: datetime
    decided_by: UUID | None
    reason_code: str | None
    reason: str | None
    note: str | None


class Card(Output):
    """What helps to decide."""

    seconds_left: int | None = Field(description="Until it lapses; null where nothing is left to decide.")
    grants: list[OpsGrantOut] = Field(description="What the requester was given, whatever its status; the newest 100.")
    outcomes: dict[ItemStatus, int] = Field(description="What became of all that the requester ever asked for.")
    precedents: list[Precedent] = Field(description="Of the frequencies asked for, newest first; at most 20.")


class OpsRequestCard(OpsRequestOut):
    """A request with its card."""

    card: Card
