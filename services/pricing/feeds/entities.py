"""The values that a price source answers in, and the tables of how far the feeds are and what they did not trust."""

import datetime as dt
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import NamedTuple

from sqlalchemy import CheckConstraint, Numeric
from sqlmodel import Field

from services.pricing.database import Base
from shared.database import UtcDateTime


class Sample(NamedTuple):
    """One price in USD; `timestamp` is aware UTC, on the grid, the start of its bucket."""

    timestamp: datetime
    price: Decimal
    supply: Decimal | None


@dataclass(frozen=True)
class Rejected:
    """One item that may not be used: its JSON, cut at 2,000 characters, why, and whose it is, if it says so."""

    raw: str
    reason: str
    slug: str | None = None


@dataclass(frozen=True)
class History:
    """One window's samples, ascending with unique timestamps, beside what was rejected."""

    samples: list[Sample]
    rejected: list[Rejected]


@dataclass(frozen=True)
class MarketCap:
    """One asset's market capitalisation in USD at a moment (aware UTC)."""

    slug: str
    market_cap: Decimal
    observed_at: datetime


@dataclass(frozen=True)
class Caps:
    """One answer's market capitalisations beside what was rejected; one that is said not to be known is neither.

    `sound` tells whether anything in the answer could be read, be it only that something is not known.
    """

    caps: list[MarketCap]
    rejected: list[Rejected]
    sound: bool = True

    @property
    def drifted(self) -> bool:
        """Whether something is wrong and nothing right."""
        return bool(self.rejected) and not self.sound

    def of(self, slug: str) -> "Caps":
        """One asset's share of it; what does not say whose it is may be anybody's."""
        own = [item for item in self.rejected if item.slug in (slug, None)]
        return Caps([cap for cap in self.caps if cap.slug == slug], own, self.sound)


class Position(Base, table=True):
    """How far a source was asked for a series: all of [asked_from, asked_until), up to now at `asked_at`.

    `tried_at` is when it was last begun, so that one that always fails does not keep the others waiting; `failed_at`
    is when it failed in a way that asking again does not mend; `history_failed_at` the same of what is older, which is
    asked for again a day later. `slug` is the asset that was asked for, null for one from before that was kept. The
    frequency `cap` is of the market capitalisations.
    """

    __tablename__ = "feed_positions"
    __table_args__ = (CheckConstraint("frequency in ('1h', '1d', 'cap')", name="frequency"),)

    dataset: str = Field(primary_key=True)
    frequency: str = Field(primary_key=True)
    source: str
    asked_from: dt.datetime = Field(sa_type=UtcDateTime)
    asked_until: dt.datetime = Field(sa_type=UtcDateTime)
    asked_at: dt.datetime | None = Field(default=None, sa_type=UtcDateTime)
    tried_at: dt.datetime = Field(sa_type=UtcDateTime)
    failed_at: dt.datetime | None = Field(default=None, sa_type=UtcDateTime)
    history_failed_at: dt.datetime | None = Field(default=None, sa_type=UtcDateTime)
    slug: str | None = None


class Suspect(Base, table=True):
    """A price ten times its neighbour or more, not served until it is seen again; `looks` counts how often it was."""

    __tablename__ = "suspect_prices"
    __table_args__ = (
        CheckConstraint("frequency in ('1h', '1d')", name="frequency"),
        CheckConstraint("price_usd > 0 and price_usd < 'Infinity'", name="price"),
    )

    dataset: str = Field(primary_key=True)
    frequency: str = Field(primary_key=True)
    timestamp: dt.datetime = Field(primary_key=True, sa_type=UtcDateTime)
    price_usd: Decimal = Field(sa_type=Numeric)
    looks: int
    seen_at: dt.datetime = Field(sa_type=UtcDateTime)


class Quarantined(Base, table=True):
    """An item of an answer that could not be trusted: as it came, cut at 2,000 characters, why, and how often."""

    __tablename__ = "quarantine"
    __table_args__ = (CheckConstraint("length(raw) <= 2000", name="raw"),)

    dataset: str = Field(primary_key=True)
    frequency: str = Field(primary_key=True)
    digest: str = Field(primary_key=True)
    source: str
    reason: str
    raw: str
    times: int
    first_seen_at: dt.datetime = Field(sa_type=UtcDateTime)
    last_seen_at: dt.datetime = Field(sa_type=UtcDateTime, index=True)


class Upstream(Base, table=True):
    """A source's account, shared by every process: what this month and this minute cost, and its circuit breaker.

    `allowance` is what a month may cost, as whoever called last was told.
    The breaker is closed while `open_until` is null; when that is past, the next call is the one probe.
    """

    __tablename__ = "upstreams"

    source: str = Field(primary_key=True)
    month: dt.date
    credits: int
    allowance: int
    minute: dt.datetime = Field(sa_type=UtcDateTime)
    calls: int
    failures: int
    open_until: dt.datetime | None = Field(sa_type=UtcDateTime)
