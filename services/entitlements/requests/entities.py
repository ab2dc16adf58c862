"""The tables of requests."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ARRAY, CheckConstraint, Column, Index, String, UniqueConstraint, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlmodel import Field

from services.entitlements.database import Base
from shared.database import UtcDateTime

UNDECIDED = ("pending", "needs-info")
FINAL = ("approved", "refused", "withdrawn", "lapsed")


class AccessRequest(Base, table=True):
    """What an account asked for; its status is derived from its items, never stored."""

    __tablename__ = "access_requests"
    __table_args__ = (
        Index("ix_access_requests_account", "account", "id"),
        Index("ix_access_requests_created_at", "created_at"),
    )

    id: UUID = Field(primary_key=True)
    account: UUID
    dataset: str
    reason: str | None = None
    trial: bool
    duration_days: int | None = None
    created_at: datetime = Field(sa_type=UtcDateTime)
    lapse_at: datetime = Field(sa_type=UtcDateTime)


class RequestItem(Base, table=True):
    """One frequency of a request. At most one item of a cell is undecided; a decision is written once."""

    __tablename__ = "request_items"
    __table_args__ = (
        UniqueConstraint("request_id", "frequency"),
        Index(
            "uq_request_items_undecided",
            "account",
            "dataset",
            "frequency",
            unique=True,
            postgresql_where=text("status in ('pending', 'needs-info')"),
        ),
        Index("ix_request_items_cell", "account", "dataset", "frequency", "id"),
        Index("ix_request_items_due", "lapse_at", postgresql_where=text("status in ('pending', 'needs-info')")),
        Index(
            "ix_request_items_precedents",
            "dataset",
            "frequency",
            "decided_at",
            postgresql_where=text("outcome_by = 'ops'"),
        ),
        CheckConstraint(f"status in {UNDECIDED + FINAL}", name="status"),
        CheckConstraint(f"(status in {UNDECIDED}) = (decided_at is null)", name="decided"),
        CheckConstraint("(status = 'approved') = (grant_id is not null)", name="grant"),
        CheckConstraint("outcome_by in ('rule', 'ops')", name="outcome_by"),
        CheckConstraint("decided_by <> account", name="self_decision"),
    )

    id: UUID = Field(primary_key=True)
    request_id: UUID = Field(foreign_key="entitlements.access_requests.id")
    account: UUID
    dataset: str
    frequency: str
    status: str = Field(default="pending")
    lapse_at: datetime = Field(sa_type=UtcDateTime)
    outcome_by: str | None = None
    decided_by: UUID | None = None
    decided_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    reason_code: str | None = None
    reason: str | None = None
    note: str | None = None
    grant_id: UUID | None = Field(default=None, foreign_key="entitlements.grants.id")
    trace: dict[str, Any] | None = Field(default=None, sa_column=Column(JSONB(none_as_null=True)))


class RequestMessage(Base, table=True):
    """What Ops asked about a request, or its owner answered; added and read, never changed."""

    __tablename__ = "request_messages"
    __table_args__ = (
        Index("ix_request_messages_request_id", "request_id", "at"),
        CheckConstraint("author_role in ('ops', 'quant')", name="author_role"),
    )

    id: UUID = Field(primary_key=True)
    request_id: UUID = Field(foreign_key="entitlements.access_requests.id")
    author: UUID
    author_role: str
    frequencies: list[str] = Field(sa_type=ARRAY(String))
    text: str
    at: datetime = Field(sa_type=UtcDateTime)
