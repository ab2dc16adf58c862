"""The tables of accounts and keys."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import CHAR, CheckConstraint, Column, ForeignKey
from sqlmodel import Field

from gateway.database import Base
from shared.database import UtcDateTime


class Account(Base, table=True):
    """Somebody, or a machine, with one role; every key of it has that role."""

    __tablename__ = "accounts"
    __table_args__ = (CheckConstraint("role in ('quant', 'ops', 'admin')", name="role"),)

    id: UUID = Field(primary_key=True)
    name: str = Field(unique=True)
    role: str
    created_at: datetime = Field(sa_type=UtcDateTime)


class ApiKey(Base, table=True):
    """A key, of which only a digest is kept; usable until it expires or is revoked.

    A rotated key names its one `successor`, and expires when their overlap ends.
    """

    __tablename__ = "api_keys"

    id: str = Field(sa_column=Column(CHAR(10), primary_key=True))
    account: UUID = Field(foreign_key="gateway.accounts.id", index=True)
    digest: str
    created_at: datetime = Field(sa_type=UtcDateTime)
    expires_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    revoked_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    last_used_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    successor: str | None = Field(
        default=None, sa_column=Column(CHAR(10), ForeignKey("gateway.api_keys.id"), unique=True)
    )
