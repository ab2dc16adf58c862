"""Pure rules of the feeds: what to bring, in which windows, what to trust, and which slot a run is for."""

import datetime as dt
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal, localcontext
from statistics import median_low

from services.pricing.access.schemas import OfferedDataset
from services.pricing.feeds.entities import MarketCap, Position, Sample, Suspect
from services.pricing.feeds.schemas import Feed, Judged
from services.pricing.prices.policy import PERIODS, SAMPLE, stored_frequencies
from services.pricing.prices.schemas import Known
from shared.jobs import CATCH_UP

SYNC = "sync-prices"
BACKFILL = "backfill-market-caps"
NAMES = (SYNC, BACKFILL)
SNAPSHOT = time(20, tzinfo=UTC)
DAY = timedelta(days=1)
FIRST_DAY = date(2009, 1, 3)  # no coin is older
JUMP = 10
APART = timedelta(minutes=5)
REST = timedelta(days=1)
REVISITED = {"1h": timedelta(days=2), "1d": timedelta(days=7)}
EXACT = 200
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def feeds(datasets: Iterable[OfferedDataset], source: str) -> list[Feed]:
    """What a source is asked for; it must know the asset's slug, only the sample takes any."""
    found = []
    for dataset in datasets:
        any_slug = next(iter(dataset.sources.values()), dataset.symbol.lower())
        slug = any_slug if source == SAMPLE else dataset.sources.get(source)
        frequencies = stored_frequencies(dataset.frequencies)
        if slug and frequencies:
            found.append(Feed(dataset.symbol, slug, frequencies))
    return found


def windows(start: datetime, end: datetime, span: timedelta) -> Iterator[tuple[datetime, datetime]]:
    """[start, end) in windows of at most `span`, oldest first."""
    while start < end:
        yield start, min(start + span, end)
        start += span


def askable_until(frequency: str, now: datetime) -> datetime:
    """Up to where a source can have samples: the hour still forming has one, the day still forming has none."""
    return now - (now - EPOCH) % PERIODS["1d"] if frequency == "1d" else now


def resumed(asked_until: datetime, last: datetime | None, span: timedelta) -> datetime:
    """Where the next sync starts: at the last final bar, which may have been revised, or where a look was held back.

    One call's span before the end of what was asked for, at most: a source that has stopped is not asked ever more.
    """
    return min(asked_until, max(last or asked_until, asked_until - span))


def revisited(position: Position, start: datetime, now: datetime) -> datetime:
    """Where a day's first sync starts: some days back, for what came late behind newer bars, or was revised since."""
    if position.asked_at is None or position.asked_at.date() == now.date():
        return start
    return min(start, max(position.asked_from, position.asked_until - REVISITED[position.frequency]))


def rests(position: Position, now: datetime) -> bool:
    """Whether older history was refused or unreadable within a day: each look at a whole window is dear."""
    return position.history_failed_at is not None and now < position.history_failed_at + REST


def is_of_day(at: datetime | None, now: datetime) -> bool:
    """Whether it was on this day (UTC)."""
    return at is not None and at.date() == now.date()


def may_be_missed(slot: datetime, now: datetime) -> bool:
    """Whether a snapshot's slot is one that a scheduler which was away for long still catches up on."""
    return slot > now - CATCH_UP * DAY


def is_of_another(position: Position, slug: str) -> bool:
    """Whether the position is of another asset than the one that is wanted now."""
    return position.slug not in (None, slug)


def move(position: Position, since: datetime, until: datetime, *, held: bool) -> None:
    """Note that [since, until) was asked for, at either end; what is held is asked for once more."""
    if until <= position.asked_from:
        position.asked_from = position.asked_from if held else since
    else:
        position.asked_until = min(position.asked_until, since) if held else max(position.asked_until, until)


def is_jump(one: Decimal, other: Decimal) -> bool:
    """Whether two prices are ten times apart, or more."""
    if one.adjusted() == other.adjusted():  # as many digits before the point: never ten times
        return False
    return one >= JUMP * other or other >= JUMP * one


def is_another_look(suspect: Suspect, seen_at: datetime) -> bool:
    """Whether a look is not of the same moment as the one before: a glitch lasts for a while, and is cached."""
    return seen_at >= suspect.seen_at + APART


def judge(samples: Sequence[Sample], known: Known, suspected: Mapping[datetime, Suspect]) -> Judged:
    """Which samples to trust: those no ten times off what is known of their bar, else of the bar trusted before.

    Read away from what is stored: forwards, or backwards where only later bars are; where nothing is, from the
    median on, so that a single absurd price does not make all the others look absurd. A jump that was suspected
    before and comes again has been seen twice, and is trusted.
    """
    backwards = known.before is None and known.after is not None
    last = known.after if backwards else known.before
    last = last or (median_low([sample.price for sample in samples]) if samples else Decimal(0))
    trusted, suspects = [], []
    for sample in reversed(samples) if backwards else samples:
        earlier = suspected.get(sample.timestamp)
        last = known.held.get(sample.timestamp, last)
        seen_twice = earlier is not None and not is_jump(earlier.price_usd, sample.price)
        if seen_twice or not is_jump(last, sample.price):
            trusted.append(sample)
            last = sample.price
        else:
            suspects.append((sample, 1 + (earlier.looks if earlier else 0)))
    return Judged(trusted[::-1] if backwards else trusted, suspects)


def derived(samples: Iterable[Sample], slug: str) -> list[MarketCap]:
    """Price times supply, exactly, of every sample that carries a supply."""
    with localcontext(prec=EXACT):
        return [
            MarketCap(slug, sample.price * sample.supply, sample.timestamp)
            for sample in samples
            if sample.supply is not None
        ]


def by_day(caps: Iterable[MarketCap]) -> dict[date, MarketCap]:
    """Of every day the one nearest 20:00."""
    found: dict[date, list[MarketCap]] = {}
    for cap in caps:
        found.setdefault(cap.observed_at.date(), []).append(cap)
    chosen = {day: nearest(those, datetime.combine(day, SNAPSHOT)) for day, those in found.items()}
    return {day: cap for day, cap in chosen.items() if cap is not None}


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
