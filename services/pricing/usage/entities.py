"""The table of what was read."""

import datetime as dt
from uuid import UUID

from sqlalchemy import BigInteger, Index, text
from sqlmodel import Field

from services.pricing.database import Base
from shared.database import UtcDateTime


class Usage(Base, table=True):
    """How many bars of a cell an account was handed on a day (UTC), and when the last of them.

    Of these, entitlements has heard of `reported`.
    """

    __tablename__ = "usage"
    __table_args__ = (
        Index(
            "ix_usage_unreported",
            "account",
            "dataset",
            "frequency",
            "day",
            postgresql_where=text("reported < rows"),
        ),
    )

    account: UUID = Field(primary_key=True)
    dataset: str = Field(primary_key=True)
    frequency: str = Field(primary_key=True)
    day: dt.date = Field(primary_key=True)
    account_name: str
    rows: int = Field(sa_type=BigInteger)
    last_read_at: dt.datetime = Field(sa_type=UtcDateTime)
    reported: int = Field(default=0, sa_type=BigInteger, sa_column_kwargs={"server_default": "0"})
