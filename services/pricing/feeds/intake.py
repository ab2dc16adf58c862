"""One answer's way in: what is wrong goes to quarantine, what jumps waits to be seen again, the rest is stored."""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy.orm import Session

from services.pricing.feeds import policy
from services.pricing.feeds.caps import CapIntake
from services.pricing.feeds.entities import History, Rejected, Sample
from services.pricing.feeds.repository import FeedRepository
from services.pricing.feeds.schemas import Asked, Taken
from services.pricing.feeds.source import period
from services.pricing.market_caps.policy import DERIVED, SAMPLE
from services.pricing.market_caps.schemas import DayCap
from services.pricing.prices.schemas import Known
from services.pricing.prices.service import NOTHING_KNOWN, PriceService
from shared.clock import Clock


class Intake:
    """Takes a source's answers in, in the caller's transaction."""

    def __init__(self, session: Session, clock: Clock, source: str) -> None:
        self._source = source
        self._session = session
        self._prices = PriceService(session, clock)
        self._caps = CapIntake(session, clock, source)

    def take(self, asked: Asked, history: History) -> Taken:
        """Store what can be trusted and count it; `fresh` counts what was distrusted for the first time.

        Raises SeriesHasOtherSource.
        """
        kept = FeedRepository(self._session, asked.feed.dataset, asked.frequency)
        suspected = kept.suspects(start=asked.start, end=asked.end)
        known = NOTHING_KNOWN if asked.anew else self._known(asked, asked.start, asked.end)
        before = {at: suspect for at, suspect in suspected.items() if policy.is_another_look(suspect, asked.seen_at)}
        judged = policy.judge(history.samples, known, before)
        rejected = history.rejected or self._doubtful(asked, history)
        fresh = kept.quarantine(rejected, source=self._source, seen_at=asked.seen_at)
        kept.suspect(judged.suspects, seen_at=asked.seen_at)
        kept.clear([sample.timestamp for sample in judged.trusted if sample.timestamp in suspected])
        stored = self._prices.load(
            asked.feed.dataset,
            asked.frequency,
            self._source,
            judged.trusted,
            seen_at=asked.seen_at,
            replace=asked.anew,
        )
        self._derive(asked, judged.trusted)
        counts = {**stored, "suspect": len(judged.suspects), "rejected": len(rejected)}
        return Taken(counts, fresh + sum(looks == 1 for _, looks in judged.suspects))

    def _doubtful(self, asked: Asked, history: History) -> list[Rejected]:
        """No price at all right before known ones: a hiccup rather than the asset's beginning, if it is seen once."""
        if asked.anew or history.samples:
            return []
        next_ones = self._known(asked, asked.end, asked.end + period(asked.frequency))
        return [Rejected(f"before {asked.end.isoformat()}", "no price, but some right after")] if next_ones.held else []

    def _known(self, asked: Asked, start: datetime, end: datetime) -> Known:
        return self._prices.known(asked.feed.dataset, asked.frequency, self._source, start=start, end=end)

    def _derive(self, asked: Asked, samples: Sequence[Sample]) -> None:
        """Market capitalisations of days that are over, from hours that carry a supply."""
        if self._source == SAMPLE or asked.frequency != "1h":
            return
        caps = policy.by_day(policy.derived(samples, asked.feed.slug))
        slots = {day: datetime.combine(day, policy.SNAPSHOT) for day in caps}
        over = {
            day: DayCap(cap.market_cap, cap.observed_at)
            for day, cap in caps.items()
            if asked.start <= slots[day] < asked.end and day < asked.seen_at.date()
        }
        if over:
            self._caps.record(asked.feed, over, DERIVED)
