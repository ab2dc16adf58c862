"""Pure rules of the feeds: what to bring, in which windows, and which slot a run is for."""

import datetime as dt
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, date, datetime, time, timedelta

from services.pricing.access.schemas import OfferedDataset
from services.pricing.feeds.entities import MarketCap
from services.pricing.feeds.schemas import Feed
from services.pricing.prices.policy import stored_frequencies

SYNC = "sync-prices"
BACKFILL = "backfill-market-caps"
NAMES = (SYNC, BACKFILL)
SNAPSHOT = time(20, tzinfo=UTC)
DAY = timedelta(days=1)
FIRST_DAY = date(2009, 1, 3)  # no coin is older


def feeds(datasets: Iterable[OfferedDataset], source: str) -> list[Feed]:
    """What a source is asked for; it must know the asset's slug, only the sample needs none."""
    found = []
    for dataset in datasets:
        slug = dataset.sources.get("coincap") or (dataset.symbol.lower() if source == "sample" else None)
        frequencies = stored_frequencies(dataset.frequencies)
        if slug and frequencies:
            found.append(Feed(dataset.symbol, slug, frequencies))
    return found


def windows(start: datetime, end: datetime, span: timedelta) -> Iterator[tuple[datetime, datetime]]:
    """[start, end) in windows of at most `span`, oldest first."""
    while start < end:
        yield start, min(start + span, end)
        start += span


def day_of(day: date) -> tuple[datetime, datetime]:
    """A day in UTC as a half-open range."""
    start = datetime.combine(day, time(), UTC)
    return start, start + DAY


def nearest(caps: Sequence[MarketCap], slot: datetime) -> MarketCap | None:
    """The one nearest to the slot, on the slot's own day; of two equally near the earlier."""
    start, end = day_of(slot.date())
    that_day = [cap for cap in caps if start <= cap.observed_at < end]
    return min(that_day, key=lambda cap: abs(cap.observed_at - slot), default=None)


def slot_for(name: str, day: dt.date | None, now: datetime) -> datetime:
    """The slot that an operator means: a day's snapshot, the newest that is due unless said, or prices up to now."""
    if name == SYNC:
        return now.replace(microsecond=0)
    newest = now.date() if now.timetz() >= SNAPSHOT else now.date() - DAY
    return datetime.combine(day or newest, SNAPSHOT)
