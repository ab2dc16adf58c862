"""The values that a price source answers in."""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal


@dataclass(frozen=True)
class Sample:
    """One price in USD; `timestamp` is aware UTC, on the grid, the start of its bucket."""

    timestamp: datetime
    price: Decimal
    supply: Decimal | None


@dataclass(frozen=True)
class Rejected:
    """One item that may not become a price: its JSON, cut at 2,000 characters, and why."""

    raw: str
    reason: str


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
