"""The tables of the catalog."""

from datetime import datetime

from sqlalchemy import CheckConstraint
from sqlalchemy.dialects.postgresql import JSONB
from sqlmodel import Field

from services.catalog.database import Base
from shared.database import UtcDateTime


class Dataset(Base, table=True):
    """A series of prices under one symbol; `sources` says what each feed calls it."""

    __tablename__ = "datasets"
    __table_args__ = (CheckConstraint("symbol ~ '^[A-Z0-9]{1,12}$'", name="symbol"),)

    symbol: str = Field(primary_key=True)
    name: str
    kind: str = Field(default="price")
    sources: dict[str, str] = Field(default_factory=dict, sa_type=JSONB)
    created_at: datetime = Field(sa_type=UtcDateTime)


class Offering(Base, table=True):
    """A frequency of a dataset; offered until `retired_at`, which may lie ahead."""

    __tablename__ = "offerings"
    __table_args__ = (CheckConstraint("frequency in ('1m', '1h', '1d', '1mo')", name="frequency"),)

    symbol: str = Field(primary_key=True, foreign_key="catalog.datasets.symbol")
    frequency: str = Field(primary_key=True)
    offered_at: datetime = Field(sa_type=UtcDateTime)
    retired_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
