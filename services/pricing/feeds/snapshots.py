"""What feeds do for market capitalisations: a day's, and once for every dataset those of the days before it came."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Protocol

from services.pricing.feeds import policy
from services.pricing.feeds.budget import Purpose
from services.pricing.feeds.caps import CapIntake
from services.pricing.feeds.entities import Caps, MarketCap, Position, Rejected
from services.pricing.feeds.errors import AnswerDrifted, SourceError, UnknownAsset
from services.pricing.feeds.repository import FeedRepository
from services.pricing.feeds.schemas import Feed, Tally
from services.pricing.feeds.service import Spending, free, silent
from services.pricing.feeds.source import Source
from services.pricing.market_caps.policy import DERIVED, OBSERVED, SAMPLE, VENDOR_HISTORY, is_better
from services.pricing.market_caps.schemas import DayCap, DayCaps
from services.pricing.market_caps.service import MarketCapService
from services.pricing.prices.service import NOTHING_KNOWN
from shared.clock import Clock
from shared.database import Database
from shared.jobs import Outcome, Progress

COUNTS = ("written", "held", "missing", "unknown", "earlier", "rejected")
CAP = "cap"
Found = Mapping[str, MarketCap]


class Ask(Protocol):
    """A question for one asset's market capitalisations in [start, end)."""

    def __call__(self, feed: Feed, tally: Tally, *, start: datetime, end: datetime) -> list[MarketCap]:
        """They, in any order, what is wrong being in quarantine; raises SourceError."""
        ...


@dataclass(frozen=True)
class Way:
    """How a day's values may be had: under which name they are kept, from whose credits, and by which question."""

    provenance: str
    purpose: Purpose
    ask: Callable[[Sequence[Feed], datetime, Tally], Found]


class Snapshots:
    """A source and the market capitalisations it fills."""

    def __init__(
        self,
        database: Database,
        source: Source,
        *,
        clock: Clock,
        progress: Progress = silent,
        spending: Spending = free,
    ) -> None:
        self._database = database
        self._source = source
        self._clock = clock
        self._progress = progress
        self._spending = spending

    def backfill_market_caps(self, feeds: Sequence[Feed], slot: datetime) -> Outcome:
        """Record the slot's day for every dataset that lacks it: live if it is today, else from the source's history.

        Today's value never goes into another day; where there is none, there is no row. The run is partial while the
        source failed to answer; that it does not know is an answer. No later slot comes back to this day, so what a
        lasting refusal left is tried a day later. Then the days before are filled, once for every dataset.
        """
        tally = Tally(Counter(dict.fromkeys(COUNTS, 0)))
        self._record_day(feeds, slot, tally)
        if self._source.name != SAMPLE and not tally.over:  # made-up earlier days would only be in the way
            self._fill(feeds, tally)
        return tally.outcome(partial=tally.counts["missing"] > 0, rest=policy.REST)

    def _record_day(self, feeds: Sequence[Feed], slot: datetime, tally: Tally) -> None:
        """Way after way, as long as somebody lacks the day; a day may hold what no way betters.

        What came by a worse way while a better one did not answer is missing still: another attempt may better it.
        """
        held, settled = self._held(slot.date(), feeds), set[str]()
        ways = self._ways(slot)
        for way in ways:
            wanted = [
                feed
                for feed in feeds
                if feed.dataset not in settled and is_better(way.provenance, held.get(feed.dataset))
            ]
            if tally.over:
                tally.unanswered.update(feed.dataset for feed in wanted)
                continue
            with self._spending(way.purpose):
                found = way.ask(wanted, slot, tally) if wanted else {}
            for feed in wanted:
                if feed.slug in found:
                    days = {slot.date(): _day_cap(found[feed.slug])}
                    tally.counts["written"] += self._record(feed, days, way.provenance)
                    settled.add(feed.dataset)
                self._progress(f"{feed.dataset} {slot.date()}")
        worst = ways[-1].provenance
        lacking = {f.dataset for f in feeds if f.dataset not in settled and is_better(worst, held.get(f.dataset))}
        tally.counts["missing"] = len(tally.unanswered)
        tally.counts["unknown"] = len(lacking - tally.unanswered)
        tally.counts["held"] = len(feeds) - len(lacking | settled | tally.unanswered)

    def _ways(self, slot: datetime) -> list[Way]:
        """Today's value is observed; an earlier day's is remembered by the source, or follows from its prices.

        The days that a schedule may have missed are daily work; older ones, which people ask for, leave its reserve.
        """
        now = self._now()
        if slot.date() == now.date():
            ways = [Way(OBSERVED, Purpose.SNAPSHOT, self._observed)]
        else:
            purpose = Purpose.SYNC if policy.may_be_missed(slot, now) else Purpose.BACKFILL
            ways = [Way(VENDOR_HISTORY, purpose, self._remembered), Way(DERIVED, purpose, self._derived)]
        return [Way(self._called(way.provenance), way.purpose, way.ask) for way in ways]

    def _called(self, provenance: str) -> str:
        return SAMPLE if self._source.name == SAMPLE else provenance

    def _observed(self, feeds: Sequence[Feed], slot: datetime, tally: Tally) -> Found:
        """By as many as one question may name; what one of them gave stays, whatever becomes of the next."""
        found: dict[str, MarketCap] = {}
        for first in range(0, len(feeds), self._source.at_once):
            some = feeds[first : first + self._source.at_once]
            if tally.over:
                tally.unanswered.update(feed.dataset for feed in some)
            else:
                found.update(self._observed_at_once(some, slot, tally))
        return found

    def _observed_at_once(self, feeds: Sequence[Feed], slot: datetime, tally: Tally) -> Found:
        try:
            told = self._source.market_caps([feed.slug for feed in feeds])
        except SourceError as error:
            tally.note(error)
            tally.unanswered.update(feed.dataset for feed in feeds)
            for feed in feeds:  # whose it is does not stand there
                self._unread(feed, CAP, error, tally)
            return {}

        def ask(feed: Feed, tally: Tally, **_: datetime) -> list[MarketCap]:
            return self._usable(feed, told.of(feed.slug), tally)

        return self._one_by_one(feeds, slot, tally, ask)

    def _remembered(self, feeds: Sequence[Feed], slot: datetime, tally: Tally) -> Found:
        return self._one_by_one(feeds, slot, tally, self._history)

    def _history(self, feed: Feed, tally: Tally, *, start: datetime, end: datetime) -> list[MarketCap]:
        return self._usable(feed, self._source.market_cap_history(feed.slug, start=start, end=end), tally)

    def _derived(self, feeds: Sequence[Feed], slot: datetime, tally: Tally) -> Found:
        """From the day's hours, those left out that are absurd beside the others."""

        def ask(feed: Feed, tally: Tally, *, start: datetime, end: datetime) -> list[MarketCap]:
            hours = self._source.history(feed.slug, "1h", start=start, end=end)
            self._quarantine(feed, "1h", hours.rejected, tally)
            return policy.derived(policy.judge(hours.samples, NOTHING_KNOWN, {}).trusted, feed.slug)

        return self._one_by_one(feeds, slot, tally, ask, frequency="1h")

    def _one_by_one(
        self, feeds: Sequence[Feed], slot: datetime, tally: Tally, ask: Ask, *, frequency: str = CAP
    ) -> Found:
        start, end = policy.day_of(slot.date())
        found = {}
        for number, feed in enumerate(feeds):
            try:
                caps = ask(feed, tally, start=start, end=end)
            except SourceError as error:
                tally.note(error, feed.dataset)
                self._unread(feed, frequency, error, tally)
                if error.ends_run:
                    tally.unanswered.update(feed.dataset for feed in feeds[number:])
                    break
                if not isinstance(error, UnknownAsset):
                    tally.unanswered.add(feed.dataset)
                continue
            if (cap := policy.nearest(caps, slot)) is not None:
                found[feed.slug] = cap
            elif caps:  # the answer came, but after midnight
                tally.unanswered.add(feed.dataset)
        return found

    def _fill(self, feeds: Sequence[Feed], tally: Tally) -> None:
        """The days before today that were never asked for, newest first."""
        for feed in feeds:
            position, began = self._position(feed), self._now()
            try:
                with self._spending(Purpose.BACKFILL):
                    self._fill_one(feed, position, tally)
            except SourceError as error:
                tally.notes.append(f"{feed.dataset}, earlier days: {error}")
                if error.ends_run:
                    return
                self._unread(feed, CAP, error, tally)
                self._keep(feed, failed_at=began, history_failed_at=began)

    def _fill_one(self, feed: Feed, position: Position, tally: Tally) -> None:
        """A source that has nothing for a window has nothing before it; one that refused is asked again tomorrow.

        So is one that has nothing where there is a value right after: that may be a hiccup, unless it is seen twice.
        """
        now = self._now()
        floor = now - self._source.depth("1d")
        if policy.is_of_day(position.history_failed_at, now) or policy.is_of_day(position.failed_at, now):
            return
        looked, position.history_failed_at = position.history_failed_at is not None, None
        while position.asked_from > floor:
            since = max(floor, position.asked_from - self._source.span("1d"))
            caps = self._history(feed, tally, start=since, end=position.asked_from)
            if not caps and not looked and self._held(position.asked_from.date(), [feed]):
                self._keep(feed, history_failed_at=now)
                return
            looked = False
            days = {day: _day_cap(cap) for day, cap in policy.by_day(caps).items()}
            position.asked_from = since if caps else policy.EPOCH
            tally.counts["earlier"] += self._record(feed, days, self._called(VENDOR_HISTORY), position)
            self._progress(f"{feed.dataset}, back to {since:%Y-%m-%d}")

    def _usable(self, feed: Feed, told: Caps, tally: Tally) -> list[MarketCap]:
        """What an answer gives, once what is wrong in it is in quarantine; raises AnswerDrifted when all of it is."""
        position, began = self._position(feed), self._now()
        self._quarantine(feed, CAP, told.rejected, tally)
        if told.drifted or position.failed_at is not None:
            self._keep(feed, failed_at=began if told.drifted else None)
        if told.drifted:
            raise AnswerDrifted(told.rejected[0].reason)
        if told.rejected and not told.caps:
            tally.unanswered.add(feed.dataset)
        return told.caps

    def _unread(self, feed: Feed, frequency: str, error: SourceError, tally: Tally) -> None:
        """An answer that was no data goes to quarantine; of market capitalisations, it is a drift until one is."""
        if error.rejected and frequency == CAP:
            self._keep(feed, failed_at=self._now())
        self._quarantine(feed, frequency, error.rejected, tally)

    def _quarantine(self, feed: Feed, frequency: str, rejected: Sequence[Rejected], tally: Tally) -> None:
        tally.counts["rejected"] += len(rejected)
        if not rejected:
            return
        with self._database.transaction() as session:
            kept = FeedRepository(session, feed.dataset, frequency)
            kept.quarantine(rejected, source=self._source.name, seen_at=self._clock.now(session))

    def _position(self, feed: Feed) -> Position:
        with self._database.transaction() as session:
            return CapIntake(session, self._clock, self._source.name).position(feed)

    def _record(self, feed: Feed, days: DayCaps, provenance: str, position: Position | None = None) -> int:
        with self._database.transaction() as session:
            return CapIntake(session, self._clock, self._source.name).record(feed, days, provenance, position)

    def _keep(self, feed: Feed, **changed: datetime | None) -> None:
        with self._database.transaction() as session:
            CapIntake(session, self._clock, self._source.name).note(feed, **changed)

    def _held(self, day: date, feeds: Sequence[Feed]) -> dict[str, str]:
        """The provenance of what each of these has for a day: what is of another asset is as good as none."""
        with self._database.transaction() as session:
            intake, held = CapIntake(session, self._clock, self._source.name), MarketCapService(session, self._clock)
            wanted = {feed.dataset for feed in feeds if not intake.is_anew(feed)}
            return {dataset: provenance for dataset, provenance in held.held(day).items() if dataset in wanted}

    def _now(self) -> datetime:
        with self._database.transaction() as session:
            return self._clock.now(session)


def _day_cap(cap: MarketCap) -> DayCap:
    return DayCap(cap.market_cap, cap.observed_at)
