"""The feeds against a CoinCap over a real socket: what they bring, where they go on, and what a fault leaves alone."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pytest

from services.pricing.feeds.coincap import CoinCap
from services.pricing.feeds.sample import SampleSource
from services.pricing.feeds.schemas import Feed
from services.pricing.feeds.service import Feeds
from services.pricing.feeds.source import Source
from services.pricing.market_caps.service import MarketCapService
from services.pricing.prices.policy import EARLIEST, LATEST
from services.pricing.prices.schemas import Window
from services.pricing.prices.service import PriceService
from shared.database import Database
from tests.services.pricing.conftest import DAY, HOUR, FixedClock
from tests.standins.coincap import StandinCoinCap, point

NOW = datetime(2025, 6, 10, 9, 30, tzinfo=UTC)
SLOT = datetime(2025, 6, 10, 20, tzinfo=UTC)
BTC = Feed("BTC", "bitcoin", ("1h", "1d"))
ETH = Feed("ETH", "ethereum", ("1d",))
NOTHING = {"series": 0, "inserted": 0, "revised": 0, "unchanged": 0, "rejected": 0, "skipped": 0, "failed": 0}


@pytest.fixture
def clock() -> FixedClock:
    return FixedClock(NOW)


@pytest.fixture
def upstream(clock: FixedClock) -> Iterator[StandinCoinCap]:
    with StandinCoinCap(now=lambda: clock.at) as standin:
        hours = [point(NOW.replace(minute=0) - n * HOUR, f"{1000 - n}.50") for n in range(-5, 1000)]
        days = [point(NOW.replace(hour=0, minute=0) - n * DAY, f"{500 - n}.0") for n in range(-5, 400)]
        standin.give_history("bitcoin", "h1", hours[::-1])
        standin.give_history("bitcoin", "d1", days[::-1])
        standin.give_history("ethereum", "d1", days[::-1])
        yield standin


@pytest.fixture
def coincap(upstream: StandinCoinCap, clock: FixedClock) -> Iterator[CoinCap]:
    with CoinCap(upstream.url, upstream.key, now=lambda: clock.at, sleep=lambda _: None) as client:
        yield client


@pytest.fixture
def feeds_of(database: Database, clock: FixedClock) -> Callable[[Source], Feeds]:
    return lambda source: Feeds(database, source, clock=clock)


@pytest.fixture
def feeds(feeds_of: Callable[[Source], Feeds], coincap: CoinCap) -> Feeds:
    return feeds_of(coincap)


@contextmanager
def reading(database: Database) -> Iterator[PriceService]:
    with database.transaction() as session:
        yield PriceService(session, FixedClock(NOW))


def stored(database: Database, dataset: str, frequency: str) -> list[list[str]]:
    with reading(database) as prices:
        chunk = prices.read(Window(dataset, frequency, EARLIEST, LATEST), format_="csv", limit=10_000)
    return [line.split(",") for line in chunk.body.splitlines()]


def test_the_first_sync_loads_all_there_is(feeds: Feeds, database: Database, upstream: StandinCoinCap) -> None:
    outcome = feeds.sync_prices([BTC, ETH])
    assert outcome.counts == {**NOTHING, "series": 3, "inserted": 1000 + 399 + 399}
    assert (outcome.partial, outcome.note) == (False, None)
    hours = stored(database, "BTC", "1h")
    assert hours[-2:] == [["2025-06-10T08:00:00Z", "999.50", "true"], ["2025-06-10T09:00:00Z", "1000.50", "false"]]
    assert stored(database, "BTC", "1d")[-1] == ["2025-06-09T00:00:00Z", "499.0", "true"]
    assert upstream.calls["/assets/bitcoin/history"] == 25 + 10


def test_the_next_sync_asks_only_for_what_is_missing(
    feeds: Feeds, database: Database, upstream: StandinCoinCap, clock: FixedClock
) -> None:
    feeds.sync_prices([BTC])
    upstream.queries.clear()
    clock.at = NOW + HOUR
    outcome = feeds.sync_prices([BTC])
    assert outcome.counts == {**NOTHING, "series": 2, "inserted": 1, "unchanged": 3}
    assert stored(database, "BTC", "1h")[-2:] == [
        ["2025-06-10T09:00:00Z", "1000.50", "true"],
        ["2025-06-10T10:00:00Z", "1001.50", "false"],
    ]
    first = datetime.fromtimestamp(int(upstream.queries[0][1]["start"]) / 1000, UTC)
    assert (len(upstream.queries), first) == (2, NOW.replace(hour=8, minute=0))


def test_a_price_still_forming_is_revised(feeds: Feeds, database: Database, upstream: StandinCoinCap) -> None:
    feeds.sync_prices([BTC])
    upstream.give_history("bitcoin", "h1", [point(NOW.replace(minute=0), "7.5")])
    assert feeds.sync_prices([BTC]).counts["revised"] == 1
    assert stored(database, "BTC", "1h")[-1] == ["2025-06-10T09:00:00Z", "7.5", "false"]


def test_one_source_failing_leaves_the_others_alone(feeds: Feeds, database: Database, upstream: StandinCoinCap) -> None:
    upstream.fail_next("unauthorized", path="bitcoin")
    outcome = feeds.sync_prices([BTC, Feed("NIL", "nothing", ("1d",)), ETH])
    assert outcome.counts == {**NOTHING, "series": 4, "failed": 2, "inserted": 399 + 399}
    assert outcome.partial
    assert "BTC 1h: The price source refused the API key" in str(outcome.note)
    assert "NIL 1d: The price source does not know this asset" in str(outcome.note)
    assert stored(database, "BTC", "1h") == []
    assert len(stored(database, "ETH", "1d")) == 399


def test_a_run_that_was_killed_goes_on_where_it_stopped(
    feeds: Feeds, database: Database, upstream: StandinCoinCap, clock: FixedClock
) -> None:
    class Killed(BaseException):
        pass

    def kill(text: str) -> None:
        if text == "BTC 1h, 24 of 25":
            raise Killed

    feeds._progress = kill
    with pytest.raises(Killed):
        feeds.sync_prices([BTC])
    assert len(stored(database, "BTC", "1h")) == 1000 - 240  # the last window is of ten days
    upstream.calls.clear()
    feeds._progress = lambda _: None
    assert feeds.sync_prices([BTC]).counts["unchanged"] == 1
    assert upstream.calls["/assets/bitcoin/history"] == 1 + 10
    assert len(stored(database, "BTC", "1h")) == 1000


def test_what_is_rejected_is_counted_and_the_rest_kept(
    feeds: Feeds, database: Database, upstream: StandinCoinCap
) -> None:
    upstream.give_history("ethereum", "d1", [point(NOW.replace(hour=0, minute=0) - n * DAY, "1.0") for n in (3, 2, 1)])
    upstream.fail_next("negative", 10, path="ethereum")
    counts = feeds.sync_prices([ETH]).counts
    assert (counts["rejected"], counts["inserted"]) == (1, 2)
    assert len(stored(database, "ETH", "1d")) == 2


def test_the_sample_fills_and_gives_way(
    feeds_of: Callable[[Source], Feeds], coincap: CoinCap, database: Database, clock: FixedClock
) -> None:
    sample = feeds_of(SampleSource(now=lambda: clock.at))
    assert sample.sync_prices([BTC]).counts["inserted"] == 180 * 24 + 1094
    assert feeds_of(coincap).sync_prices([BTC]).counts["inserted"] == 1399
    assert len(stored(database, "BTC", "1h")) == 1000
    assert sample.sync_prices([BTC]).counts == {**NOTHING, "series": 2, "skipped": 2}


def test_an_imported_series_is_skipped_without_a_call(
    feeds: Feeds, database: Database, upstream: StandinCoinCap
) -> None:
    with reading(database) as prices:
        prices.load("ETH", "1d", "imported", [_Day(NOW.replace(hour=0, minute=0))])
    outcome = feeds.sync_prices([ETH])
    assert (outcome.counts, outcome.partial) == ({**NOTHING, "series": 1, "skipped": 1}, False)
    assert not upstream.calls


class _Day:
    price = Decimal("1.0")

    def __init__(self, timestamp: datetime) -> None:
        self.timestamp = timestamp


def caps(database: Database, dataset: str = "BTC") -> list[tuple[int, str, str]]:
    with database.transaction() as session:
        rows = MarketCapService(session, FixedClock(NOW)).page(
            dataset, start=date(2025, 1, 1), end=date(2026, 1, 1), limit=100
        )
    return [(row.date.day, format(row.market_cap_usd, "f"), row.provenance) for row in rows]


def test_today_is_observed_with_one_call_for_all(feeds: Feeds, database: Database, upstream: StandinCoinCap) -> None:
    upstream.give_market_cap("bitcoin", "1394938121675.859863281250000000")
    upstream.give_market_cap("ethereum", "250000000000.10")
    outcome = feeds.backfill_market_caps([BTC, ETH], SLOT)
    assert (outcome.counts, outcome.partial) == ({"written": 2, "held": 0, "missing": 0}, False)
    assert caps(database) == [(10, "1394938121675.859863281250000000", "observed")]
    assert caps(database, "ETH") == [(10, "250000000000.10", "observed")]
    assert [path for path, _ in upstream.queries] == ["/assets"]


def test_a_run_of_the_same_day_changes_nothing(feeds: Feeds, database: Database, upstream: StandinCoinCap) -> None:
    upstream.give_market_cap("bitcoin", "1.5")
    feeds.backfill_market_caps([BTC], SLOT)
    upstream.give_market_cap("bitcoin", "2.5")
    assert feeds.backfill_market_caps([BTC], SLOT).counts == {"written": 0, "held": 1, "missing": 0}
    assert caps(database) == [(10, "1.5", "observed")]
    assert upstream.calls["/assets"] == 1


def test_a_missed_day_comes_from_the_vendors_history_nearest_the_slot(
    feeds: Feeds, database: Database, upstream: StandinCoinCap
) -> None:
    upstream.give_market_cap("bitcoin", "999.0")
    missed = SLOT - 2 * DAY
    moments = [(missed - timedelta(hours=21), "1.0"), (missed - 3 * HOUR, "2.50"), (missed + 5 * HOUR, "3.0")]
    upstream.give_market_cap_history("bitcoin", [*moments, (missed + HOUR, "4.50")])
    outcome = feeds.backfill_market_caps([BTC, ETH], missed)
    assert outcome.counts == {"written": 1, "held": 0, "missing": 1}
    assert outcome.partial
    assert caps(database) == [(8, "4.50", "vendor-history")]
    assert caps(database, "ETH") == []
    assert upstream.calls["/assets"] == 0


def test_todays_value_never_goes_into_a_missed_day(feeds: Feeds, database: Database, upstream: StandinCoinCap) -> None:
    upstream.give_market_cap("bitcoin", "999.0")
    upstream.give_market_cap_history("bitcoin", [(NOW, "999.0")])
    outcome = feeds.backfill_market_caps([BTC], SLOT - DAY)
    assert (outcome.counts, outcome.partial) == ({"written": 0, "held": 0, "missing": 1}, True)
    assert caps(database) == []


def test_a_value_that_is_not_known_leaves_no_row(feeds: Feeds, database: Database, upstream: StandinCoinCap) -> None:
    upstream.give_market_cap("bitcoin", None)
    outcome = feeds.backfill_market_caps([BTC], SLOT)
    assert (outcome.counts["missing"], outcome.partial) == (1, True)
    upstream.fail_next("unauthorized")
    outcome = feeds.backfill_market_caps([BTC], SLOT)
    assert "refused the API key" in str(outcome.note)
    assert caps(database) == []


def test_an_answer_that_came_after_midnight_is_not_yesterdays(
    feeds_of: Callable[[Source], Feeds], upstream: StandinCoinCap, database: Database
) -> None:
    upstream.give_market_cap("bitcoin", "1.5")
    with CoinCap(upstream.url, upstream.key, now=lambda: NOW + DAY) as late:
        assert feeds_of(late).backfill_market_caps([BTC], SLOT).counts["missing"] == 1
    assert caps(database) == []


@pytest.mark.parametrize("slot", [SLOT, SLOT - DAY])
def test_the_samples_values_are_called_sample_and_give_way(
    feeds_of: Callable[[Source], Feeds],
    coincap: CoinCap,
    upstream: StandinCoinCap,
    database: Database,
    clock: FixedClock,
    slot: datetime,
) -> None:
    sample = feeds_of(SampleSource(now=lambda: clock.at))
    assert sample.backfill_market_caps([BTC], slot).counts["written"] == 1
    assert [provenance for _, _, provenance in caps(database)] == ["sample"]
    upstream.give_market_cap("bitcoin", "1.5")
    upstream.give_market_cap_history("bitcoin", [(SLOT - DAY, "2.5")])
    assert feeds_of(coincap).backfill_market_caps([BTC], slot).counts["written"] == 1
    real = [(10, "1.5", "observed")] if slot == SLOT else [(9, "2.5", "vendor-history")]
    assert caps(database) == real
    assert sample.backfill_market_caps([BTC], slot).counts["held"] == 1
    assert caps(database) == real
