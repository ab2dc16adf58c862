"""What a price source outside must be able to do."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Protocol

from services.pricing.feeds.entities import Caps, History

PERIODS = {"1h": timedelta(hours=1), "1d": timedelta(days=1)}
"""How long one sample's bucket is, by frequency; both lie on the UTC grid."""


class Source(Protocol):
    """Where prices come from; frequencies are `1h` and `1d`, datetimes aware; every call may raise `SourceError`."""

    name: str
    at_once: int
    """How many assets one question for current values may name."""

    def span(self, frequency: str) -> timedelta:
        """The largest window that one history call may ask for."""
        ...

    def depth(self, frequency: str) -> timedelta:
        """How far back the first load of a series goes."""
        ...

    def history(self, slug: str, frequency: str, *, start: datetime, end: datetime) -> History:
        """The samples in [start, end); a wider window than `span` is a `ValueError`, a missing day is just missing."""
        ...

    def market_caps(self, slugs: Sequence[str]) -> Caps:
        """The market capitalisations right now, of `at_once` assets at most; one without a known value is left out."""
        ...

    def market_cap_history(self, slug: str, *, start: datetime, end: datetime) -> Caps:
        """The source's own market capitalisations in [start, end), ascending with unique moments."""
        ...


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


def require_few(source: Source, slugs: Sequence[str]) -> None:
    """Refuse more assets than one call may name (`ValueError`)."""
    if len(slugs) > source.at_once:
        raise ValueError(f"one call may ask for {source.at_once} assets at most")
