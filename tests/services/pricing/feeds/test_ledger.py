"""The account of a source: what calls cost, what each purpose leaves, how fast, and that all processes share it."""

import threading
from datetime import UTC, date, datetime, timedelta

import pytest

from services.pricing.feeds.budget import Allowance, Purpose, allowance, cost, reserve
from services.pricing.feeds.errors import BudgetSpent
from services.pricing.feeds.ledger import Ledger
from services.pricing.feeds.schemas import Feed
from shared.database import Database
from tests.services.pricing.conftest import DAY, HOUR, FixedClock
from tests.services.pricing.feeds.conftest import BTC, ETH, NOW, World
from tests.standins.coincap import StandinCoinCap, point

BTC_1H = Feed("BTC", "bitcoin", ("1h",))


@pytest.mark.parametrize(
    ("size", "credits_"), [(0, 1), (1, 1), (2_500, 1), (2_501, 2), (5_000, 2), (98_640, 40), (5_000_000, 2_000)]
)
def test_what_an_answer_costs(size: int, credits_: int) -> None:
    assert cost(size) == credits_


@pytest.mark.parametrize(
    ("purpose", "today", "kept"),
    [
        (Purpose.SNAPSHOT, date(2025, 6, 1), 0),
        (Purpose.SYNC, date(2025, 6, 1), 45),
        (Purpose.BACKFILL, date(2025, 6, 1), 30 * 27 * 3 // 2),
        (Purpose.BACKFILL, date(2025, 6, 30), 41),
        (Purpose.BACKFILL, date(2025, 12, 31), 41),
    ],
)
def test_what_is_kept_until_the_month_is_over(purpose: Purpose, today: date, kept: int) -> None:
    assert reserve(allowance(4_000, [BTC, ETH]), purpose, today) == kept


def test_history_stops_at_the_reserve_and_the_daily_jobs_go_on(world: World, upstream: StandinCoinCap) -> None:
    budget = allowance(1_000, [BTC_1H])
    kept = reserve(budget, Purpose.BACKFILL, NOW.date())
    upstream.give_market_cap("bitcoin", "1.5")
    outcome = world.sync(BTC_1H, budget=Allowance(kept + 60, budget.snapshots, budget.syncs))
    assert (outcome.partial, outcome.counts["inserted"]) == (False, 720)  # one window of the three fits
    assert "older history waits: What is left of this month's credits is kept" in str(outcome.note)
    assert 20 < world.credits() < 60

    world.clock.at = NOW + HOUR
    spent = Allowance(kept + 60, budget.snapshots, budget.syncs)
    assert world.sync(BTC_1H, budget=spent).counts["inserted"] == 1
    world.clock.at = datetime(2025, 7, 1, 0, 2, tzinfo=UTC)
    assert world.sync(BTC_1H, budget=Allowance(5_000, 1, 24)).counts["failed"] == 0
    assert len(world.stored()) > 1_000  # a new month


def test_nothing_but_the_snapshot_touches_the_last_credits(world: World, upstream: StandinCoinCap) -> None:
    upstream.give_market_cap("bitcoin", "1.5")
    last = Allowance(10, snapshots=1, syncs=24)
    outcome = world.sync(BTC_1H, budget=last)
    world.clock.at = NOW + HOUR
    outcome = world.sync(BTC_1H, budget=last)
    assert (outcome.partial, world.calls()) == (True, 0)
    assert world.snapshot(datetime(2025, 6, 10, 20, tzinfo=UTC), BTC_1H, budget=last).counts["written"] == 1


def test_what_a_call_cost_is_what_its_answer_weighed(world: World) -> None:
    world.sync(BTC_1H)
    assert world.credits() == pytest.approx(1_000 * 90 / 2_500, abs=4)  # no supply here, so fewer bytes than expected


def test_the_default_datasets_cost_at_most_1500_a_month_once_filled(world: World, upstream: StandinCoinCap) -> None:
    upstream.give_history(
        "bitcoin", "h1", [point(NOW.replace(minute=0) + n * HOUR, "9.5", supply="19876725.0000") for n in range(80)]
    )
    for slug in ("bitcoin", "ethereum"):
        upstream.give_market_cap(slug, "1.5")
        upstream.give_market_cap_history(slug, [(NOW - DAY, "1.5")])
    world.snapshot(NOW, BTC, ETH)
    world.sync(BTC, ETH)
    filled = world.credits()
    for hour in range(1, 25):
        world.clock.at = NOW + hour * HOUR
        assert not world.sync(BTC, ETH, slot=world.clock.at).partial
        if world.clock.at.hour == 20:
            world.snapshot(world.clock.at, BTC, ETH)
    assert (world.credits() - filled) * 30 <= 1_500


def test_six_hundred_calls_a_minute_by_all_together(database: Database) -> None:
    clock = FixedClock(NOW.replace(second=20))
    slept: list[float] = []

    def sleep(seconds: float) -> None:
        slept.append(seconds)
        clock.at += timedelta(seconds=seconds)

    ledger = Ledger(database, "coincap", Allowance(10_000, 1, 1), clock=clock, sleep=sleep)
    ledger.enter(1)
    with database.transaction() as session:
        session.connection().exec_driver_sql("update pricing.upstreams set calls = 599")
    other = Ledger(database, "coincap", Allowance(10_000, 1, 1), clock=clock, sleep=sleep)
    other.enter(1)
    assert slept == []
    ledger.enter(1)
    assert (slept, clock.at) == ([40.0], NOW.replace(minute=31))


def test_two_processes_never_spend_the_same_credit(database: Database) -> None:
    start, spent = threading.Barrier(8), list[int]()

    def spend() -> None:
        ledger = Ledger(database, "coincap", Allowance(20, 0, 0), clock=FixedClock(NOW))
        start.wait()
        try:
            for _ in range(10):
                ledger.enter(1)
                spent.append(1)
        except BudgetSpent:
            pass

    threads = [threading.Thread(target=spend) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=20)
    assert len(spent) == 20
