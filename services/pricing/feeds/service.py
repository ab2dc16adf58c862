"""What feeds do for prices: bring in what is new, then the history that is missing, newest first."""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from datetime import datetime
from functools import partial

import structlog
from sqlalchemy.orm import Session

from services.pricing.feeds import policy
from services.pricing.feeds.budget import Purpose
from services.pricing.feeds.entities import Position, Rejected
from services.pricing.feeds.errors import AnswerDrifted, BudgetSpent, FailedAlready, SourceError, SourceUnavailable
from services.pricing.feeds.intake import Intake
from services.pricing.feeds.repository import FeedRepository, forget_rejected
from services.pricing.feeds.schemas import Asked, Feed, Tally
from services.pricing.feeds.source import Source
from services.pricing.prices.errors import SeriesHasOtherSource
from services.pricing.prices.service import PriceService
from shared.clock import Clock
from shared.database import Database
from shared.jobs import Outcome, Progress

logger = structlog.get_logger(__name__)
COUNTS = ("series", "inserted", "revised", "unchanged", "suspect", "rejected", "skipped", "failed")
NO_PRICE = "no price at all of {!r}; is its slug right?"
VAIN = 3  # windows in a row; it goes on in the next run, should there be something long ago
Spending = Callable[[Purpose], AbstractContextManager[None]]


def silent(_step: str, _done: int = 0, _total: int = 0, /) -> None:
    """Progress that nobody watches."""


def free(_purpose: Purpose) -> AbstractContextManager[None]:
    """The spending of a source that costs nothing."""
    return nullcontext()


@dataclass
class Series:
    """One series that a run brings: `held` when it is to be looked at again before it goes on.

    `anew` while what is stored is of another asset than the one that is wanted now, `empty` while nothing is; `vain` is
    how many windows in a row had nothing.
    """

    feed: Feed
    frequency: str
    position: Position
    last: datetime | None
    held: bool = False
    anew: bool = False
    empty: bool = False
    vain: int = 0

    @property
    def is_enough(self) -> bool:
        """Whether this run should ask no further back: there is nothing at all so far."""
        return self.empty and self.vain >= VAIN

    @property
    def is_in_vain(self) -> bool:
        """Whether it was asked for and there is nothing at all."""
        return self.empty and self.vain > 0 and not self.held

    @property
    def name(self) -> str:
        """What people call it."""
        return f"{self.feed.dataset} {self.frequency}"


class Feeds:
    """A source and the database it fills.

    Every chunk is a transaction of its own, with the position in it, so a killed run goes on where it was.
    """

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

    def sync_prices(self, feeds: Iterable[Feed], slot: datetime | None = None) -> Outcome:
        """What is new in every series, unless it was asked for since the slot; then missing history, newest first.

        A failure leaves the other series alone, unless it would be theirs too. History waits for next month's credits
        where this month's are kept for the daily jobs.
        """
        tally = Tally(Counter(dict.fromkeys(COUNTS, 0)))
        with self._database.transaction() as session:
            now = self._clock.now(session)
            forget_rejected(session, now)
        slot = slot or now
        try:
            series = self._begun(feeds, slot, tally)
            with self._spending(Purpose.SYNC):
                self._catch_up(series, slot, tally)
            self._fill(series, tally)
            tally.notes += [f"{one.name}: {NO_PRICE.format(one.feed.slug)}" for one in series if one.is_in_vain]
        except SourceError as error:
            tally.failed(error)
        return tally.outcome(partial=tally.counts["failed"] > 0)

    def _begun(self, feeds: Iterable[Feed], slot: datetime, tally: Tally) -> list[Series]:
        """The series to bring, those first that were not tried for longest."""
        found = []
        for feed in feeds:
            for frequency in feed.frequencies:
                tally.counts["series"] += 1
                try:
                    one = self._series(feed, frequency)
                except SeriesHasOtherSource as error:
                    tally.skipped(error)
                    continue
                if one.position.failed_at is not None and one.position.failed_at >= slot:
                    tally.failed(FailedAlready(), one.name)
                else:
                    found.append(one)
        return sorted(found, key=lambda one: one.position.tried_at)

    def _series(self, feed: Feed, frequency: str) -> Series:
        """How far the series is: as was kept, else as its prices tell, else nowhere."""
        with self._database.transaction() as session:
            extent = PriceService(session, self._clock).extent(feed.dataset, frequency, self._source.name)
            position = FeedRepository(session, feed.dataset, frequency).position(self._source.name)
            until = policy.askable_until(frequency, self._clock.now(session))
        anew = position is not None and policy.is_of_another(position, feed.slug)
        extent = None if anew else extent
        if position is None or anew:
            position = Position(
                dataset=feed.dataset,
                frequency=frequency,
                source=self._source.name,
                asked_from=extent.first if extent else until,
                asked_until=extent.last_final if extent else until,
                tried_at=policy.EPOCH,
                failed_at=position.failed_at if position else None,
                slug=position.slug if position else feed.slug,  # kept until the first bars of another take its place
            )
        return Series(feed, frequency, position, extent.last_final if extent else None, anew=anew, empty=extent is None)

    def _catch_up(self, series: Iterable[Series], slot: datetime, tally: Tally) -> None:
        for one in series:
            if one.position.asked_at is None or one.position.asked_at < slot:
                self._guarded(one, tally, partial(self._extend, one, tally))

    def _extend(self, one: Series, tally: Tally) -> None:
        """Ask from the last final bar on, oldest first; once yesterday is here and final, for no day until tomorrow."""
        now, position, span = self._now(), one.position, self._source.span(one.frequency)
        until = policy.askable_until(one.frequency, now)
        start = policy.revisited(position, policy.resumed(position.asked_until, one.last, span), now)
        untouched = position.asked_at is None and position.asked_from == position.asked_until
        nothing_new = untouched or (one.frequency == "1d" and start == one.last == until - policy.DAY)
        windows = [] if nothing_new else list(policy.windows(start, until, span))
        for number, (since, to) in enumerate(windows, 1):
            self._load(one, since, to, tally)
            self._progress(f"{one.name}, new", number, len(windows))
            if one.held:
                return
        position.asked_at = now
        self._keep(one)

    def _fill(self, series: Iterable[Series], tally: Tally) -> None:
        """Chunk by chunk backwards, always of the series whose history is known least far back."""
        now, done = self._now(), 0
        todo = [
            one for one in series if not one.held and self._missing(one, now) and not policy.rests(one.position, now)
        ]
        total = sum(self._missing(one, now) for one in todo)
        try:
            with self._spending(Purpose.BACKFILL):
                while todo:
                    one = max(todo, key=lambda one: one.position.asked_from)
                    since = self._fill_one(one, now, tally)
                    done += 1
                    self._progress(f"{one.name}, back to {since:%Y-%m-%d}", done, total)
                    todo = [one for one in todo if not (one.held or one.is_enough) and self._missing(one, now)]
        except BudgetSpent as error:
            tally.notes.append(f"older history waits: {error}")

    def _fill_one(self, one: Series, now: datetime, tally: Tally) -> datetime:
        until = one.position.asked_from
        floor = now - self._source.depth(one.frequency)
        since = max(floor, until - self._source.span(one.frequency))
        self._guarded(one, tally, partial(self._load, one, since, until, tally), of_history=True)
        return since

    def _missing(self, one: Series, now: datetime) -> int:
        """How many chunks of history are not asked for yet."""
        left = one.position.asked_from - (now - self._source.depth(one.frequency))
        return max(0, -(-left // self._source.span(one.frequency)))

    def _guarded(self, one: Series, tally: Tally, act: Callable[[], None], *, of_history: bool = False) -> None:
        """Do something for a series; a failure of it alone is noted, and the series left for this run."""
        one.position.tried_at = self._now()
        try:
            act()
        except SeriesHasOtherSource as error:
            tally.skipped(error)
            one.held = True
        except SourceError as error:
            if error.ends_run:
                raise
            logger.warning("source failed", dataset=one.feed.dataset, frequency=one.frequency, error=str(error))
            one.held = True
            one.position.failed_at = None if isinstance(error, SourceUnavailable) else one.position.tried_at
            if of_history and not one.empty:
                one.position.history_failed_at = one.position.failed_at
            self._keep(one, error.rejected)
            tally.counts["rejected"] += len(error.rejected)
            tally.failed(error, one.name)

    def _load(self, one: Series, since: datetime, until: datetime, tally: Tally) -> None:
        """Ask for one window and store what can be trusted of it; raises AnswerDrifted when nothing can.

        But older history that is as unreadable as when it was looked at before is a gap: what is new tells of a drift.
        """
        # a bar is final only if its period was over when the source was asked, not when its answer was stored
        seen_at = self._now()
        history = self._source.history(one.feed.slug, one.frequency, start=since, end=until)
        unreadable, older = bool(history.rejected) and not history.samples, until <= one.position.asked_from
        asked = Asked(one.feed, one.frequency, since, until, seen_at, anew=one.anew)
        with self._database.transaction() as session:
            taken = Intake(session, self._clock, self._source.name).take(asked, history)
            drifted = unreadable and (taken.fresh > 0 or one.empty or not older)
            one.held = drifted or taken.fresh > 0
            if not drifted:
                one.position.failed_at = None
                one.position.history_failed_at = None if older else one.position.history_failed_at
                policy.move(one.position, since, until, held=one.held)
            one.empty = one.empty and not taken.counts["inserted"]
            one.vain = 0 if history.samples else one.vain + 1
            if not (one.anew and one.empty):
                one.anew, one.position.slug = False, one.feed.slug
            self._keep_in(session, one)
        tally.counts.update(taken.counts)
        if drifted:
            logger.error("answer drifted", dataset=one.feed.dataset, frequency=one.frequency)
            raise AnswerDrifted(history.rejected[0].reason)

    def _keep(self, one: Series, rejected: Sequence[Rejected] = ()) -> None:
        with self._database.transaction() as session:
            kept = FeedRepository(session, one.feed.dataset, one.frequency)
            kept.quarantine(rejected, source=self._source.name, seen_at=self._clock.now(session))
            self._keep_in(session, one)

    def _keep_in(self, session: Session, one: Series) -> None:
        """Write how far the series is; how far another asset was asked for stays, in case that one comes back."""
        kept = FeedRepository(session, one.feed.dataset, one.frequency)
        stands = kept.position(self._source.name) if one.anew else None
        if stands is not None:
            stands.tried_at, stands.failed_at = one.position.tried_at, one.position.failed_at
        kept.keep(stands or one.position)

    def _now(self) -> datetime:
        with self._database.transaction() as session:
            return self._clock.now(session)
