"""The tables of webhooks and of what was sent to them."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import CheckConstraint, Index, UniqueConstraint, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlmodel import Field

from services.entitlements.database import Base
from shared.database import UtcDateTime


class Webhook(Base, table=True):
    """A URL that an account wants to be told at; its secret, and for a while those before, are kept encrypted.

    `old_secrets` are objects with `sealed`, in hex, and `until`, oldest first.
    """

    __tablename__ = "webhooks"

    id: UUID = Field(primary_key=True)
    account: UUID = Field(index=True)
    hears_ops: bool
    url: str
    secret: bytes
    old_secrets: list[dict[str, str]] = Field(
        default_factory=list, sa_type=JSONB, sa_column_kwargs={"server_default": text("'[]'::jsonb")}
    )
    created_at: datetime = Field(sa_type=UtcDateTime)
    failing_since: datetime | None = Field(default=None, sa_type=UtcDateTime)
    failed_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    disabled_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    disabled_reason: str | None = None


class Delivery(Base, table=True):
    """One event for one webhook; `tries` counts in this `round`, a replay begins the next; `log` is every attempt."""

    __tablename__ = "deliveries"
    __table_args__ = (
        UniqueConstraint("webhook_id", "event_id"),
        CheckConstraint("state in ('pending', 'delivered', 'failed')", name="state"),
        Index("ix_deliveries_webhook", "webhook_id", "id"),
        Index("ix_deliveries_over", "created_at", postgresql_where="state <> 'pending'"),
    )

    id: UUID = Field(primary_key=True)
    webhook_id: UUID = Field(foreign_key="entitlements.webhooks.id", ondelete="CASCADE")
    event_id: UUID
    type: str
    body: str
    created_at: datetime = Field(sa_type=UtcDateTime)
    state: str
    round: int = Field(default=0)
    tries: int = Field(default=0)
    next_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    log: list[dict[str, Any]] = Field(
        default_factory=list, sa_type=JSONB, sa_column_kwargs={"server_default": text("'[]'::jsonb")}
    )
