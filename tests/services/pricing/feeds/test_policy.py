"""What to bring, in which windows, and which slot a run is for."""

import datetime as dt
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pytest

from services.pricing.access.schemas import OfferedDataset
from services.pricing.feeds.entities import MarketCap, Sample, Suspect
from services.pricing.feeds.policy import (
    BACKFILL,
    SYNC,
    feeds,
    judge,
    may_be_missed,
    nearest,
    resumed,
    slot_for,
    windows,
)
from services.pricing.feeds.schemas import Feed
from services.pricing.prices.schemas import Known
from services.pricing.prices.service import NOTHING_KNOWN

SLOT = datetime(2025, 6, 10, 20, tzinfo=UTC)


def dataset(symbol: str, frequencies: list[str], **sources: str) -> OfferedDataset:
    return OfferedDataset(symbol=symbol, frequencies=frequencies, sources=sources, retired={})


def test_a_real_source_needs_a_slug_and_the_sample_none() -> None:
    offered = [
        dataset("BTC", ["1h", "1d", "1mo"], coincap="bitcoin"),
        dataset("SOL", ["1mo"]),
        dataset("OLD", [], coincap="old"),
    ]
    assert feeds(offered, "coincap") == [Feed("BTC", "bitcoin", ("1h", "1d"))]
    assert feeds(offered, "sample") == [Feed("BTC", "bitcoin", ("1h", "1d")), Feed("SOL", "sol", ("1d",))]


@pytest.mark.parametrize(
    ("hours", "expected"), [(0, []), (-1, []), (5, [(0, 5)]), (10, [(0, 10)]), (25, [(0, 10), (10, 20), (20, 25)])]
)
def test_windows_leave_nothing_out(hours: int, expected: list[tuple[int, int]]) -> None:
    found = windows(SLOT, SLOT + timedelta(hours=hours), timedelta(hours=10))
    assert [((a - SLOT) // timedelta(hours=1), (b - SLOT) // timedelta(hours=1)) for a, b in found] == expected


@pytest.mark.parametrize(
    ("minutes", "expected"),
    [
        ([], None),
        ([-30, 20, 60], 20),
        ([-20, 20], -20),
        ([-20 * 60, 4 * 60 - 1], 4 * 60 - 1),
        ([-20 * 60 - 1, 4 * 60], None),
    ],
)
def test_the_moment_nearest_the_slot_on_its_own_day(minutes: list[int], expected: int | None) -> None:
    caps = [MarketCap("bitcoin", Decimal(1), SLOT + timedelta(minutes=number)) for number in minutes]
    found = nearest(caps, SLOT)
    assert (found and (found.observed_at - SLOT) // timedelta(minutes=1)) == expected


@pytest.mark.parametrize(
    ("name", "day", "slot"),
    [
        (SYNC, None, datetime(2025, 6, 10, 9, 30, 15, tzinfo=UTC)),
        (SYNC, date(2025, 6, 1), datetime(2025, 6, 10, 9, 30, 15, tzinfo=UTC)),
        (BACKFILL, None, SLOT - timedelta(days=1)),
        (BACKFILL, date(2025, 6, 10), SLOT),
        (BACKFILL, date(2025, 6, 1), datetime(2025, 6, 1, 20, tzinfo=UTC)),
    ],
)
def test_the_slot_of_a_run_by_hand(name: str, day: dt.date | None, slot: datetime) -> None:
    assert slot_for(name, day, datetime(2025, 6, 10, 9, 30, 15, 999, tzinfo=UTC)) == slot


def samples(*prices: str) -> list[Sample]:
    return [Sample(SLOT + timedelta(hours=n), Decimal(price), None) for n, price in enumerate(prices)]


def judged(prices: list[str], known: Known, suspected: dict[int, tuple[str, int]] | None = None) -> tuple[str, str]:
    """Which are trusted and which suspect, by their place; `suspected` is price and looks by place."""
    found = samples(*prices)
    before = {
        found[n].timestamp: Suspect(
            dataset="BTC",
            frequency="1h",
            timestamp=found[n].timestamp,
            price_usd=Decimal(price),
            looks=looks,
            seen_at=SLOT,
        )
        for n, (price, looks) in (suspected or {}).items()
    }
    result = judge(found, known, before)
    places = {sample.timestamp: str(n) for n, sample in enumerate(found)}
    return (
        "".join(places[sample.timestamp] for sample in result.trusted),
        "".join(f"{places[sample.timestamp]}/{looks}" for sample, looks in result.suspects),
    )


AFTER_5 = Known({}, Decimal(5), None)
BEFORE_5 = Known({}, None, Decimal(5))


@pytest.mark.parametrize(
    ("prices", "known", "suspected", "trusted", "suspects"),
    [
        ([], NOTHING_KNOWN, {}, "", ""),
        (["1", "9.99", "99.8"], NOTHING_KNOWN, {}, "012", ""),
        (["5", "50", "6"], AFTER_5, {}, "02", "1/1"),
        (["5", "0.5", "6"], AFTER_5, {}, "02", "1/1"),
        (["5", "49.99", "6"], AFTER_5, {}, "012", ""),
        (["5", "50", "60"], AFTER_5, {}, "0", "1/12/1"),  # a new level: all of it waits
        (["5", "50", "60"], AFTER_5, {1: ("50", 1), 2: ("60", 1)}, "012", ""),  # and is there on the second look
        (["5", "51", "60"], AFTER_5, {1: ("50", 1)}, "012", ""),  # a bar still forming need not be alike
        (["5", "5000", "6"], AFTER_5, {1: ("50", 1)}, "02", "1/2"),
        (["999", "5", "6"], NOTHING_KNOWN, {}, "12", "0/1"),  # one absurd price does not make the others absurd
        (["700", "6", "5"], BEFORE_5, {}, "12", "0/1"),  # backwards, from what is stored after
        (["70", "60", "6"], BEFORE_5, {}, "2", "1/10/1"),
        (["5", "50"], Known({SLOT + timedelta(hours=1): Decimal(40)}, Decimal(5), None), {}, "01", ""),  # its own past
        (["5", "6"], Known({SLOT + timedelta(hours=1): Decimal(600)}, Decimal(5), None), {}, "0", "1/1"),
    ],
)
def test_what_jumps_ten_times_is_suspect_until_seen_twice(
    prices: list[str], known: Known, suspected: dict[int, tuple[str, int]], trusted: str, suspects: str
) -> None:
    assert judged(prices, known, suspected) == (trusted, suspects)


@pytest.mark.parametrize(
    ("until", "last", "start"),
    [
        (10, None, 10),
        (10, 9, 9),
        (8, 9, 8),  # held back: looked at again
        (10, -500, -90),  # a source that stopped is not asked ever more
    ],
)
def test_where_a_sync_goes_on(until: int, last: int | None, start: int) -> None:
    def at(hours: int) -> datetime:
        return SLOT + timedelta(hours=hours)

    assert resumed(at(until), None if last is None else at(last), timedelta(hours=100)) == at(start)


@pytest.mark.parametrize(("days", "expected"), [(0, True), (29, True), (30, False), (400, False)])
def test_only_slots_that_are_caught_up_on_may_be_missed(days: int, expected: bool) -> None:
    now = datetime(2025, 6, 10, 20, tzinfo=UTC)
    assert may_be_missed(now - timedelta(days=days), now) is expected
