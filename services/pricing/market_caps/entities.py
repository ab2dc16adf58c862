"""The table of the market capitalisations."""

import datetime as dt
from decimal import Decimal

from sqlalchemy import CheckConstraint, Numeric
from sqlmodel import Field

from services.pricing.database import Base
from shared.database import UtcDateTime


class MarketCap(Base, table=True):
    """What a dataset's asset was worth in all on a day (UTC), as told at `observed_at`.

    Since the `version` of the dataset's series `cap` it stands so.
    """

    __tablename__ = "market_caps"
    __table_args__ = (
        CheckConstraint("market_cap_usd > 0 and market_cap_usd < 'Infinity'", name="market_cap"),
        CheckConstraint("provenance in ('observed', 'vendor-history', 'derived', 'sample')", name="provenance"),
    )

    dataset: str = Field(primary_key=True)
    date: dt.date = Field(primary_key=True)
    market_cap_usd: Decimal = Field(sa_type=Numeric)
    observed_at: dt.datetime = Field(sa_type=UtcDateTime)
    provenance: str
    recorded_at: dt.datetime = Field(sa_type=UtcDateTime)
    version: int


class MarketCapRevision(Base, table=True):
    """What a day's market capitalisation was until a better provenance took its place at `superseded_at`.

    It stood so in the series' versions from `version` to `last_version`.
    """

    __tablename__ = "market_cap_revisions"

    dataset: str = Field(primary_key=True)
    date: dt.date = Field(primary_key=True)
    superseded_at: dt.datetime = Field(primary_key=True, sa_type=UtcDateTime)
    market_cap_usd: Decimal = Field(sa_type=Numeric)
    observed_at: dt.datetime = Field(sa_type=UtcDateTime)
    provenance: str
    recorded_at: dt.datetime = Field(sa_type=UtcDateTime)
    version: int
    last_version: int
