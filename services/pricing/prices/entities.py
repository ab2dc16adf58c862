"""The tables of the prices."""

from datetime import datetime
from decimal import Decimal

from sqlalchemy import CheckConstraint, Numeric
from sqlmodel import Field

from services.pricing.database import Base
from shared.database import UtcDateTime


class Series(Base, table=True):
    """All prices of a dataset at one frequency, from one source; `version` rises with every visible change.

    From `first_version` on, every version can still be told, and every instant since `replaced_at`: before, there were
    other prices, which are gone. `1mo` is not stored: it is computed from `1d`. The frequency `cap` is of the market
    capitalisations.
    """

    __tablename__ = "series"
    __table_args__ = (CheckConstraint("frequency in ('1h', '1d', 'cap')", name="frequency"),)

    dataset: str = Field(primary_key=True)
    frequency: str = Field(primary_key=True)
    source: str
    version: int
    first_version: int
    updated_at: datetime = Field(sa_type=UtcDateTime)
    replaced_at: datetime | None = Field(default=None, sa_type=UtcDateTime)


class Price(Base, table=True):
    """One bar, by its start; numeric without precision keeps the source's digits, trailing zeros too.

    `recorded_at` is when the source was asked; from the end of the bar's period on, the price is final. Since the
    series' `version` it stands so.
    """

    __tablename__ = "prices"
    __table_args__ = (
        CheckConstraint("frequency in ('1h', '1d')", name="frequency"),
        CheckConstraint("price_usd > 0 and price_usd < 'Infinity'", name="price"),
    )

    dataset: str = Field(primary_key=True)
    frequency: str = Field(primary_key=True)
    timestamp: datetime = Field(primary_key=True, sa_type=UtcDateTime)
    price_usd: Decimal = Field(sa_type=Numeric)
    recorded_at: datetime = Field(sa_type=UtcDateTime)
    version: int


class PriceGap(Base, table=True):
    """Bars that are missing between others, in [start, end): kept with every load, so that nobody counts bars."""

    __tablename__ = "price_gaps"

    dataset: str = Field(primary_key=True)
    frequency: str = Field(primary_key=True)
    start: datetime = Field(primary_key=True, sa_type=UtcDateTime)
    end: datetime = Field(sa_type=UtcDateTime)


class PriceRevision(Base, table=True):
    """What a price was from `recorded_at` until another took its place, or it became final, at `superseded_at`.

    It stood so in the series' versions from `version` to `last_version`.
    """

    __tablename__ = "price_revisions"

    dataset: str = Field(primary_key=True)
    frequency: str = Field(primary_key=True)
    timestamp: datetime = Field(primary_key=True, sa_type=UtcDateTime)
    superseded_at: datetime = Field(primary_key=True, sa_type=UtcDateTime)
    price_usd: Decimal = Field(sa_type=Numeric)
    recorded_at: datetime = Field(sa_type=UtcDateTime)
    version: int
    last_version: int
