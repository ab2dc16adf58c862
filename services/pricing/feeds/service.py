"""What feeds do: bring in the prices that are missing, and the market capitalisations of a day."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime

import structlog

from services.pricing.feeds import policy
from services.pricing.feeds.entities import MarketCap
from services.pricing.feeds.errors import SourceError
from services.pricing.feeds.schemas import Feed
from services.pricing.feeds.source import Source
from services.pricing.market_caps.policy import OBSERVED, SAMPLE, VENDOR_HISTORY, is_better
from services.pricing.market_caps.service import MarketCapService
from services.pricing.prices.errors import SeriesHasOtherSource
from services.pricing.prices.schemas import Counts
from services.pricing.prices.service import PriceService
from shared.clock import Clock
from shared.database import Database
from shared.jobs import Outcome, Progress

logger = structlog.get_logger(__name__)
SYNC_COUNTS = ("series", "inserted", "revised", "unchanged", "rejected", "skipped", "failed")
CAP_COUNTS = ("written", "held", "missing")


def silent(_text: str) -> None:
    """Progress that nobody watches."""


@dataclass
class Tally:
    """What a run did so far, and what went wrong in it."""

    counts: Counter[str]
    notes: list[str] = field(default_factory=list)

    def outcome(self, *, partial: bool) -> Outcome:
        """The run's outcome."""
        return Outcome(dict(self.counts), partial=partial, note="; ".join(self.notes)[:2000] or None)


class Feeds:
    """A source and the database it fills; every chunk is a transaction of its own, so a killed run goes on."""

    def __init__(self, database: Database, source: Source, *, clock: Clock, progress: Progress = silent) -> None:
        self._database = database
        self._source = source
        self._clock = clock
        self._progress = progress

    def sync_prices(self, feeds: Iterable[Feed]) -> Outcome:
        """Load what is missing of every series, oldest first; a source's failure leaves the other series alone."""
        tally = Tally(Counter(dict.fromkeys(SYNC_COUNTS, 0)))
        for feed in feeds:
            for frequency in feed.frequencies:
                tally.counts["series"] += 1
                self._sync(feed, frequency, tally)
        return tally.outcome(partial=tally.counts["failed"] > 0)

    def _sync(self, feed: Feed, frequency: str, tally: Tally) -> None:
        try:
            self._load_missing(feed, frequency, tally.counts)
        except SeriesHasOtherSource:
            tally.counts["skipped"] += 1
        except SourceError as error:
            logger.warning("source failed", dataset=feed.dataset, frequency=frequency, error=str(error))
            tally.counts["failed"] += 1
            tally.notes.append(f"{feed.dataset} {frequency}: {error}")

    def _load_missing(self, feed: Feed, frequency: str, counts: Counter[str]) -> None:
        with self._database.transaction() as session:
            now = self._clock.now(session)
            last = PriceService(session, self._clock).resume(feed.dataset, frequency, self._source.name)
        start = last or now - self._source.depth(frequency)
        windows = list(policy.windows(start, now, self._source.span(frequency)))
        for number, (since, until) in enumerate(windows, 1):
            counts.update(self._load(feed, frequency, since, until))
            self._progress(f"{feed.dataset} {frequency}, {number} of {len(windows)}")

    def _load(self, feed: Feed, frequency: str, since: datetime, until: datetime) -> Counts:
        # a bar is final only if its period was over when the source was asked, not when its answer was stored
        seen_at = self._now()
        history = self._source.history(feed.slug, frequency, start=since, end=until)
        with self._database.transaction() as session:
            prices = PriceService(session, self._clock)
            stored = prices.load(feed.dataset, frequency, self._source.name, history.samples, seen_at=seen_at)
        return {**stored, "rejected": len(history.rejected)}

    def backfill_market_caps(self, feeds: Sequence[Feed], slot: datetime) -> Outcome:
        """Record the slot's day for every dataset that lacks it: live if it is today, else from the source's history.

        Today's value never goes into another day; where there is none, there is no row, and the run is partial.
        """
        tally = Tally(Counter(dict.fromkeys(CAP_COUNTS, 0)))
        live = slot.date() == self._now().date()
        provenance = SAMPLE if self._source.name == SAMPLE else OBSERVED if live else VENDOR_HISTORY
        wanted = self._lacking(feeds, slot.date(), provenance)
        tally.counts["held"] = len(feeds) - len(wanted)
        found = self._observed(wanted, slot, tally) if live else self._remembered(wanted, slot, tally)
        for number, feed in enumerate(wanted, 1):
            self._record(feed, slot.date(), found.get(feed.slug), provenance, tally.counts)
            self._progress(f"{feed.dataset} {slot.date()}, {number} of {len(wanted)}")
        return tally.outcome(partial=tally.counts["missing"] > 0)

    def _lacking(self, feeds: Sequence[Feed], day: date, provenance: str) -> list[Feed]:
        with self._database.transaction() as session:
            held = MarketCapService(session, self._clock).held(day)
        return [feed for feed in feeds if is_better(provenance, held.get(feed.dataset))]

    def _observed(self, feeds: Sequence[Feed], slot: datetime, tally: Tally) -> dict[str, MarketCap]:
        if not feeds:
            return {}
        try:
            caps = self._source.market_caps([feed.slug for feed in feeds])
        except SourceError as error:
            tally.notes.append(str(error))
            return {}
        return {cap.slug: cap for cap in caps if cap.observed_at.date() == slot.date()}

    def _remembered(self, feeds: Sequence[Feed], slot: datetime, tally: Tally) -> dict[str, MarketCap]:
        start, end = policy.day_of(slot.date())
        found = {}
        for feed in feeds:
            try:
                cap = policy.nearest(self._source.market_cap_history(feed.slug, start=start, end=end), slot)
            except SourceError as error:
                tally.notes.append(f"{feed.dataset}: {error}")
                continue
            if cap is not None:
                found[feed.slug] = cap
        return found

    def _record(self, feed: Feed, day: date, cap: MarketCap | None, provenance: str, counts: Counter[str]) -> None:
        if cap is None:
            counts["missing"] += 1
            return
        with self._database.transaction() as session:
            caps = MarketCapService(session, self._clock)
            written = caps.record(feed.dataset, day, cap.market_cap, observed_at=cap.observed_at, provenance=provenance)
        counts["written" if written else "held"] += 1

    def _now(self) -> datetime:
        with self._database.transaction() as session:
            return self._clock.now(session)
