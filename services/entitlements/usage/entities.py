"""The table of what was read."""

import datetime as dt
from uuid import UUID

from sqlalchemy import BigInteger
from sqlmodel import Field

from services.entitlements.database import Base
from shared.database import UtcDateTime


class Usage(Base, table=True):
    """Pricing's count of the bars of a cell that an account was handed on a day (UTC), as last reported."""

    __tablename__ = "usage"

    account: UUID = Field(primary_key=True)
    dataset: str = Field(primary_key=True)
    frequency: str = Field(primary_key=True)
    day: dt.date = Field(primary_key=True)
    rows: int = Field(sa_type=BigInteger)
    last_read_at: dt.datetime = Field(sa_type=UtcDateTime)
