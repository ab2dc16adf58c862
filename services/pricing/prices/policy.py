"""Pure rules of prices: which source may follow which, the calendar of bars, formats and tags."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Literal

from services.pricing.prices.schemas import Edition, Format

PERIODS = {"1h": timedelta(hours=1), "1d": timedelta(days=1)}
SAMPLE = "sample"
SETTLED = timedelta(minutes=15)  # longer than an answer may be waited for and take to be stored
LARGEST = 5_000_000  # bars that one read may be asked for: 570 years of hours
FORMATS: tuple[Format, ...] = ("json", "csv", "arrow", "parquet")
MEDIA_TYPES: Mapping[Format, str] = {
    "json": "application/json",
    "csv": "text/csv",
    "arrow": "application/vnd.apache.arrow.stream",
    "parquet": "application/vnd.apache.parquet",
}
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
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


def ranges(frequency: str, start: datetime, end: datetime) -> list[tuple[datetime, datetime]]:
    """The range in as few parts, of whole days, as hold no more bars than one read gives."""
    parts = max(1, -(-bars_between(frequency, start, end) // LARGEST))
    step = timedelta(days=-(-(end - start) // (timedelta(days=1) * parts)))
    return [(start + n * step, min(start + (n + 1) * step, end)) for n in range(parts)]


def negotiate(accept: str, among: Sequence[Format] = FORMATS) -> Format | None:
    """The format that an `Accept` header prefers, the first of equals; none when it takes none of them."""
    weights: dict[str, float] = {}
    for offer in accept.lower().split(","):
        kind, *parameters = (part.strip() for part in offer.split(";"))
        if "/" in kind:
            weights[kind] = next((_weight(p) for p in parameters if p.startswith("q=")), 1.0)
    if not weights:
        return among[0]
    best = max(among, key=lambda format_: _preference(weights, MEDIA_TYPES[format_]))
    return best if _preference(weights, MEDIA_TYPES[best]) > 0 else None


def _preference(weights: Mapping[str, float], media_type: str) -> float:
    """What is said of the type itself counts before what is said of its family, or of anything."""
    family = media_type.partition("/")[0] + "/*"
    return next((weights[kind] for kind in (media_type, family, "*/*") if kind in weights), 0.0)


def _weight(parameter: str) -> float:
    try:
        return float(parameter.removeprefix("q="))
    except ValueError:
        return 0.0


def tag(edition: Edition, format_: Format) -> str:
    """The strong entity tag of an answer: a version again, after a restore say, has another time."""
    since = (edition.since - EPOCH) // timedelta(microseconds=1) if edition.since else 0
    return f'"{edition.version}-{since:x}-{format_}"'


def is_known(if_none_match: str, tag_: str) -> bool:
    """Whether an `If-None-Match` header names the tag."""
    named = [name.strip().removeprefix("W/") for name in if_none_match.split(",")]
    return tag_ in named or "*" in named
