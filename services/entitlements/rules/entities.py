"""The table of rules."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import CheckConstraint, Column, func
from sqlalchemy.dialects.postgresql import JSONB
from sqlmodel import Field

from services.entitlements.database import Base
from shared.database import UtcDateTime


class RuleVersion(Base, table=True):
    """All rules as they stood from `created_at` until the next version; rows are only ever added."""

    __tablename__ = "rules"
    __table_args__ = (CheckConstraint("version > 0", name="version"),)

    version: int = Field(primary_key=True, sa_column_kwargs={"autoincrement": False})
    author: UUID | None = None
    note: str
    rules: list[dict[str, Any]] = Field(sa_column=Column(JSONB, nullable=False))
    created_at: datetime = Field(
        sa_type=UtcDateTime, sa_column_kwargs={"server_default": func.clock_timestamp()}, nullable=False
    )
