"""The table of grants."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import CheckConstraint, Index, text
from sqlmodel import Field

from services.entitlements.database import Base
from shared.database import UtcDateTime

CLOSE_REASONS = ("ended", "revoked", "superseded", "relinquished", "retired", "account-closed")


class Grant(Base, table=True):
    """A right to read one frequency of one dataset in [starts_at, ends_at), unless it is over before.

    Its status is computed from these times by the database's clock; nothing ever flips it. The closing is written
    once. At most one grant of a cell is unclosed. `revokes_at` is a revocation to come, whose author and reason stand
    in the closing's columns already; `retires_at` is when its frequency is retired; `grace_until` is set while a
    renewal that was asked for in time keeps it going, at most once.
    """

    __tablename__ = "grants"
    __table_args__ = (
        Index(
            "uq_grants_unclosed",
            "account",
            "dataset",
            "frequency",
            unique=True,
            postgresql_where=text("closed_at is null"),
        ),
        Index("ix_grants_unclosed_offer", "dataset", "frequency", postgresql_where=text("closed_at is null")),
        Index("ix_grants_account", "account", "created_at"),
        CheckConstraint("ends_at > starts_at", name="term"),
        CheckConstraint("granted_by <> account", name="self_decision"),
        CheckConstraint("kind in ('standard', 'trial')", name="kind"),
        CheckConstraint("origin in ('rule', 'ops', 'direct', 'renewal')", name="origin"),
        CheckConstraint("kind = 'standard' or ends_at is not null", name="trial_ends"),
        CheckConstraint("kind = 'standard' or grace_days = 0", name="trial_grace"),
        CheckConstraint("grace_until >= ends_at", name="grace"),
        CheckConstraint("(closed_at is null) = (close_reason is null)", name="closing"),
        CheckConstraint(f"close_reason in {CLOSE_REASONS}", name="close_reason"),
    )

    id: UUID = Field(primary_key=True)
    account: UUID
    dataset: str
    frequency: str
    kind: str
    origin: str
    starts_at: datetime = Field(sa_type=UtcDateTime)
    ends_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    created_at: datetime = Field(sa_type=UtcDateTime)
    granted_by: UUID | None = None
    reason: str | None = None
    request_id: UUID | None = None
    supersedes: UUID | None = None
    grace_days: int = Field(default=0, sa_column_kwargs={"server_default": "0"})
    grace_until: datetime | None = Field(default=None, sa_type=UtcDateTime)
    revokes_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    retires_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    closed_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    closed_by: UUID | None = None
    close_reason: str | None = None
    close_reason_code: str | None = None
    close_note: str | None = None
