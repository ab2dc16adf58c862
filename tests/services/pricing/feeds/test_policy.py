"""What to bring, in which windows, and which slot a run is for."""

import datetime as dt
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pytest

from services.pricing.access.schemas import OfferedDataset
from services.pricing.feeds.entities import MarketCap
from services.pricing.feeds.policy import BACKFILL, SYNC, feeds, nearest, slot_for, windows
from services.pricing.feeds.schemas import Feed

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
