"""The tables of the inbox."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import CheckConstraint, UniqueConstraint, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlmodel import Field

from services.entitlements.database import Base
from shared.database import UtcDateTime


class Inbox(Base, table=True):
    """A recipient, an account's id or a role, and the number of its newest notification."""

    __tablename__ = "inboxes"

    recipient: str = Field(primary_key=True)
    last_number: int


class InboxOrder(Base, table=True):
    """The newest notification of all: one row, held until the commit, so that ids appear in their order.

    Who reads two inboxes, an account's and its role's, goes on after the last id: none may appear below it later.
    """

    __tablename__ = "inbox_order"
    __table_args__ = (CheckConstraint("single", name="single"),)

    single: bool = Field(primary_key=True, sa_column_kwargs={"server_default": text("true")})
    last_id: UUID


class Notification(Base, table=True):
    """What a recipient was told; `number` counts within the recipient's inbox."""

    __tablename__ = "notifications"
    __table_args__ = (UniqueConstraint("event_id", "recipient"), UniqueConstraint("recipient", "number"))

    id: UUID = Field(primary_key=True)
    event_id: UUID
    recipient: str
    number: int
    type: str
    data: dict[str, Any] = Field(sa_type=JSONB)
    created_at: datetime = Field(sa_type=UtcDateTime)


class NotificationRead(Base, table=True):
    """An account's read mark; a role's notification is marked by each of its accounts for itself."""

    __tablename__ = "notification_reads"

    notification_id: UUID = Field(primary_key=True, foreign_key="entitlements.notifications.id")
    account: UUID = Field(primary_key=True)
    read_at: datetime = Field(sa_type=UtcDateTime)
