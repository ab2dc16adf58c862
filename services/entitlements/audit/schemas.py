"""The audit trails on the wire."""

from typing import Literal

from pydantic import Field

from shared.audit import EventOut, Name, Number
from shared.pagination import Page
from shared.seals import Head
from shared.wire import Instant, Output, Query

TrailName = Literal["entitlements", "catalog", "gateway"]
WHICH = "Whose trail: requests, decisions and grants; datasets (catalog); accounts and keys (gateway)."


class TrailQuery(Query):
    """Which trail."""

    trail: TrailName = Field(default="entitlements", description=WHICH)


class ProofQuery(TrailQuery):
    """What is to be proved."""

    head: Head | None = Field(
        default=None, description="A `head` of this trail that was noted before: has what it stood for been kept?"
    )


class AuditQuery(Page):
    """Which events."""

    trail: TrailName = Field(default="entitlements", description=WHICH)
    actor: Name | None = Field(default=None, description="Only what this account, or process, did.")
    subject: Name | None = Field(default=None, description="Only what was done to this: the id of a request, a key ...")
    after: Number | Instant | None = Field(
        default=None, description="Only events after the one with this id, or after this instant."
    )


class EventList(Output):
    """A page of a trail, oldest first."""

    data: list[EventOut]
    next_cursor: str | None = None
