"""What a price source outside must be able to do, in which values it answers, and how it fails."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Protocol

PERIODS = {"1h": timedelta(hours=1), "1d": timedelta(days=1)}
"""How long one sample's bucket is, by frequency; both lie on the UTC grid."""


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


class Source(Protocol):
    """Where prices come from; frequencies are `1h` and `1d`, datetimes aware; every call may raise `SourceError`."""

    name: str

    def span(self, frequency: str) -> timedelta:
        """The largest window that one history call may ask for."""
        ...

    def depth(self, frequency: str) -> timedelta:
        """How far back the first load of a series goes."""
        ...

    def history(self, slug: str, frequency: str, *, start: datetime, end: datetime) -> History:
        """The samples in [start, end); a wider window than `span` is a `ValueError`, a missing day is just missing."""
        ...

    def market_caps(self, slugs: Sequence[str]) -> list[MarketCap]:
        """The market capitalisations right now; an asset without a known one is left out."""
        ...

    def market_cap_history(self, slug: str, *, start: datetime, end: datetime) -> list[MarketCap]:
        """The source's own market capitalisations in [start, end), ascending with unique moments."""
        ...


class SourceError(Exception):
    """The price source failed."""

    def __init__(self, detail: str = "") -> None:
        message = self.__doc__ or type(self).__name__
        super().__init__(f"{message} ({detail})" if detail else message)


class SourceUnavailable(SourceError):
    """The price source cannot answer now; trying later may help."""

    def __init__(self, detail: str = "", *, retry_after: float | None = None) -> None:
        super().__init__(detail)
        self.retry_after = retry_after


class SourceRefused(SourceError):
    """The price source refused the API key; check TICKGATE_COINCAP_API_KEY."""


class CreditsExhausted(SourceError):
    """The price source's credits for this month are used up; the key itself is good."""


class SourceRetired(SourceError):
    """This address of the price source was switched off; set TICKGATE_COINCAP_URL to https://rest.coincap.io/v3."""


class UnknownAsset(SourceError):
    """The price source does not know this asset."""


class UnexpectedAnswer(SourceError):
    """The price source answered in a way it never did; trying again would only cost credits."""


def period(frequency: str) -> timedelta:
    """How long a bucket of this frequency is; `ValueError` for one that no source samples."""
    if frequency not in PERIODS:
        raise ValueError(f"no source samples the frequency {frequency!r}")
    return PERIODS[frequency]


def require_window(source: Source, frequency: str, *, start: datetime, end: datetime) -> None:
    """Refuse a window that one call may not ask for: naive, or wider than the source's span (`ValueError`)."""
    if start.tzinfo is None or end.tzinfo is None:
        raise ValueError("start and end need a time zone")
    if end - start > source.span(frequency):
        raise ValueError(f"one call may ask for {source.span(frequency).days} days of {frequency} at most")
