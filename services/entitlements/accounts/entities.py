"""The table of accounts that have asked or were given something."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import BigInteger, CheckConstraint, Identity, Index
from sqlmodel import Field

from services.entitlements.database import Base
from shared.database import UtcDateTime


class Account(Base, table=True):
    """An account's standing and why; a block may end by itself. Name and role are the gateway's, as last seen."""

    __tablename__ = "accounts"
    __table_args__ = (CheckConstraint("standing in ('good', 'blocked', 'closed')", name="standing"),)

    id: UUID = Field(primary_key=True)
    name: str
    role: str
    standing: str = Field(default="good", sa_column_kwargs={"server_default": "good"})
    standing_reason: str | None = None
    blocked_until: datetime | None = Field(default=None, sa_type=UtcDateTime)


class StandingChange(Base, table=True):
    """That an account's standing became this at an instant; added and read, never changed.

    The newest one before an instant says what the standing was then.
    """

    __tablename__ = "standings"
    __table_args__ = (
        Index("ix_standings_account", "account", "id"),
        CheckConstraint("standing in ('good', 'blocked', 'closed')", name="standing"),
    )

    id: int | None = Field(default=None, sa_type=BigInteger, sa_column_args=[Identity()], primary_key=True)
    account: UUID
    at: datetime = Field(sa_type=UtcDateTime)
    standing: str
    until: datetime | None = Field(default=None, sa_type=UtcDateTime)
