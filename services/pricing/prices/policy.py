"""Pure rules of prices: which source may follow which, the calendar of bars, the format that is meant."""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Literal

from services.pricing.prices.schemas import Format

PERIODS = {"1h": timedelta(hours=1), "1d": timedelta(days=1)}
SAMPLE = "sample"
EARLIEST = datetime(1900, 1, 1, tzinfo=UTC)
LATEST = datetime(3000, 1, 1, tzinfo=UTC)


def admit(stored: str | None, offered: str, *, replace: bool = False) -> Literal["append", "replace", "refuse"]:
    """What becomes of a series when prices of a source are offered to it: never a mixture."""
    if replace:
        return "replace"
    if stored in (None, offered):
        return "append"
    return "replace" if stored == SAMPLE else "refuse"


def stored_frequencies(offered: Iterable[str]) -> tuple[str, ...]:
    """What must be stored to answer for these frequencies: months are computed from days."""
    wanted = {"1d" if frequency == "1mo" else frequency for frequency in offered}
    return tuple(frequency for frequency in PERIODS if frequency in wanted)


def next_bar(frequency: str, at: datetime) -> datetime:
    """The start of the bar after the one that starts at `at`."""
    return at + PERIODS[frequency] if frequency in PERIODS else month_from(at + timedelta(microseconds=1))


def month_from(at: datetime) -> datetime:
    """The first instant of a month at or after `at`."""
    month = at.replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    return month if month == at else (month + timedelta(days=31)).replace(day=1)


def bars_between(frequency: str, start: datetime, end: datetime) -> int:
    """How many bars of a frequency start in [start, end), both being starts of bars."""
    if frequency in PERIODS:
        return (end - start) // PERIODS[frequency]
    return (end.year - start.year) * 12 + end.month - start.month


def negotiate(accept: str) -> Format:
    """The format that an `Accept` header prefers; json unless csv is asked for more than json is."""
    weights: dict[str, float] = {}
    for offer in accept.lower().split(","):
        kind, *parameters = (part.strip() for part in offer.split(";"))
        weights[kind] = next((_weight(p) for p in parameters if p.startswith("q=")), 1.0)
    anything = weights.get("*/*", 0.0)
    csv = weights.get("text/csv", weights.get("text/*", anything))
    json = weights.get("application/json", weights.get("application/*", anything))
    return "csv" if csv > json else "json"


def _weight(parameter: str) -> float:
    try:
        return float(parameter.removeprefix("q="))
    except ValueError:
        return 0.0
