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


class Reads(Output):
    """How much the requester read of a cell that it holds."""

    dataset: str
    frequency: str
    rows: int = Field(description="Bars handed out in the last 30 days.", examples=[72_000])
    last_read_at: datetime | None = Field(description="Null where it was not read.")


class Card(Output):
    """What helps to decide."""

    seconds_left: int | None = Field(description="Until it lapses; null where nothing is left to decide.")
    grants: list[OpsGrantOut] = Field(description="What the requester was given, whatever its status; the newest 100.")
    reads: list[Reads] = Field(description="What it read of what it holds; a read shows some seconds later.")
    outcomes: dict[ItemStatus, int] = Field(description="What became of all that the requester ever asked for.")
    precedents: list[Precedent] = Field(
        description="Newest first, at most 20: as many of each frequency asked for, the requester's own among them."
    )


class OpsRequestCard(OpsRequestOut):
    """A request with its card."""

    card: Card
