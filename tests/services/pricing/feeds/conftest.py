"""Feeds over a CoinCap on a real socket, both at a moment that only tests move."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import text

from services.pricing.feeds.budget import Allowance, allowance
from services.pricing.feeds.coincap import CoinCap
from services.pricing.feeds.ledger import Ledger
from services.pricing.feeds.schemas import Feed
from services.pricing.feeds.service import Feeds
from services.pricing.feeds.snapshots import Snapshots
from services.pricing.feeds.source import Source
from services.pricing.prices.policy import EARLIEST, LATEST
from services.pricing.prices.schemas import Window
from services.pricing.prices.service import PriceService
from shared.database import Database
from tests.services.pricing.conftest import DAY, HOUR, FixedClock
from tests.standins.coincap import StandinCoinCap, point

NOW = datetime(2025, 6, 10, 9, 30, tzinfo=UTC)
BTC = Feed("BTC", "bitcoin", ("1h", "1d"))
ETH = Feed("ETH", "ethereum", ("1d",))
NOTHING = dict.fromkeys(("series", "inserted", "revised", "unchanged", "suspect", "rejected", "skipped", "failed"), 0)


@pytest.fixture
def clock() -> FixedClock:
    return FixedClock(NOW)


@pytest.fixture
def upstream(clock: FixedClock) -> Iterator[StandinCoinCap]:
    """A thousand hours and 399 whole days, and those to come, of which none is served before it has begun."""
    with StandinCoinCap(now=lambda: clock.at) as standin:
        hours = [point(NOW.replace(minute=0) - n * HOUR, f"{2000 - n}.50") for n in range(-100, 1000)]
        days = [point(NOW.replace(hour=0, minute=0) - n * DAY, f"{500 - n}.0") for n in range(-5, 400)]
        standin.give_history("bitcoin", "h1", hours[::-1])
        standin.give_history("bitcoin", "d1", days[::-1])
        standin.give_history("ethereum", "d1", days[::-1])
        yield standin


DEPTHS = {"1h": 90 * DAY, "1d": 800 * DAY}


class Shallow(CoinCap):
    """CoinCap's client that goes back less far: three windows of each frequency."""

    def depth(self, frequency: str) -> timedelta:
        """Three windows, so that a test need not load ten years."""
        return DEPTHS[frequency]


class World:
    """The feeds of one database and one CoinCap: made anew for every run, as processes are."""

    def __init__(self, database: Database, upstream: StandinCoinCap, clock: FixedClock) -> None:
        self.database = database
        self.upstream = upstream
        self.clock = clock
        self.slept: list[float] = []
        self.client: type[CoinCap] = Shallow

    @contextmanager
    def metered(self, budget: Allowance | None = None) -> Iterator[tuple[CoinCap, Ledger]]:
        """CoinCap behind its account."""
        ledger = Ledger(
            self.database,
            "coincap",
            budget or allowance(100_000, [BTC, ETH]),
            clock=self.clock,
            sleep=self.slept.append,
        )
        with self.client(
            self.upstream.url, self.upstream.key, gate=ledger, now=lambda: self.clock.at, sleep=self.slept.append
        ) as coincap:
            yield coincap, ledger

    def sync(self, *feeds: Feed, slot: datetime | None = None, budget: Allowance | None = None, **more: Any) -> Any:
        """One run of `sync-prices`."""
        with self.metered(budget) as (coincap, ledger):
            service = Feeds(self.database, coincap, clock=self.clock, spending=ledger.spending, **more)
            return service.sync_prices(feeds, slot)

    def snapshot(self, slot: datetime, *feeds: Feed, budget: Allowance | None = None) -> Any:
        """One run of `backfill-market-caps`."""
        with self.metered(budget) as (coincap, ledger):
            service = Snapshots(self.database, coincap, clock=self.clock, spending=ledger.spending)
            return service.backfill_market_caps(feeds, slot)

    def stored(self, dataset: str = "BTC", frequency: str = "1h") -> list[list[str]]:
        """Every bar, as text."""
        with self.database.transaction() as session:
            window = Window(dataset, frequency, EARLIEST, LATEST)
            chunk = PriceService(session, self.clock).read(window, format_="csv", limit=100_000)
        return [line.split(",") for line in chunk.body.splitlines()]

    def sql(self, statement: str, **values: Any) -> list[tuple[Any, ...]]:
        """Rows, as pricing's app role sees them."""
        with self.database.transaction() as session:
            return [tuple(row) for row in session.execute(text(statement), values)]

    def credits(self) -> int:
        """What this month has cost."""
        ((spent,),) = self.sql("select credits from pricing.upstreams")
        return int(spent)

    def calls(self) -> int:
        """How often CoinCap was asked so far."""
        return sum(self.upstream.calls.values())


@pytest.fixture
def world(database: Database, upstream: StandinCoinCap, clock: FixedClock) -> World:
    return World(database, upstream, clock)


@pytest.fixture
def feeds_of(database: Database, clock: FixedClock) -> Callable[[Source], Feeds]:
    return lambda source: Feeds(database, source, clock=clock)


@pytest.fixture
def snapshots_of(database: Database, clock: FixedClock) -> Callable[[Source], Snapshots]:
    return lambda source: Snapshots(database, source, clock=clock)
