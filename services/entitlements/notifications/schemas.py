"""Notifications on the wire."""

from datetime import datetime
from typing import Any
from uuid import UUID

from pydantic import Field

from shared.pagination import Page
from shared.wire import Output


class InboxQuery(Page):
    """Which notifications."""

    after: UUID | None = Field(default=None, description="Only those that came after this notification.")
    unread: bool = Field(default=False, description="Only those not yet marked as read.")


class NotificationOut(Output):
    """Something you were told."""

    id: UUID
    type: str = Field(
        description=(
            "To Ops: access.requested, access.answered, access.withdrawn. To the account: access.question, "
            "access.decided, access.lapsed, grant.started, grant.ending, grant.ended, grant.revoked, grant.kept, "
            "account.blocked, account.unblocked, account.closed, dataset.retired."
        ),
        examples=["access.decided"],
    )
    created_at: datetime
    read_at: datetime | None
    data: dict[str, Any] = Field(
        description="What it is about; depends on `type`.",
        examples=[{"request": "0198c5d2-5b7e-7c3a-9f10-3f6f3f0f9a11", "dataset": "BTC"}],
    )


class NotificationList(Output):
    """A page of the inbox, oldest first."""

    data: list[NotificationOut]
    next_cursor: str | None = None
