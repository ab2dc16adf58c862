"""The table of accounts that have asked or were given something."""

from uuid import UUID

from sqlalchemy import CheckConstraint
from sqlmodel import Field

from services.entitlements.database import Base


class Account(Base, table=True):
    """An account's standing; name and role are the gateway's, as last seen."""

    __tablename__ = "accounts"
    __table_args__ = (CheckConstraint("standing in ('good', 'blocked', 'closed')", name="standing"),)

    id: UUID = Field(primary_key=True)
    name: str
    role: str
    standing: str = Field(default="good", sa_column_kwargs={"server_default": "good"})
