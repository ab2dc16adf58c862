"""The feeds of prices against a CoinCap over a real socket: what they bring, in which order, and where they go on."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import pairwise

import pytest

from services.pricing.database import job_runs
from services.pricing.feeds.coincap import CoinCap
from services.pricing.feeds.policy import SYNC
from services.pricing.feeds.sample import SampleSource
from services.pricing.feeds.schemas import Feed
from services.pricing.feeds.service import Feeds
from services.pricing.feeds.source import Source
from services.pricing.prices.service import PriceService
from shared.database import Database
from shared.jobs import Job, JobRuns
from tests.services.pricing.conftest import DAY, HOUR, FixedClock
from tests.services.pricing.feeds.conftest import BTC, ETH, NOTHING, NOW, World
from tests.standins.coincap import StandinCoinCap, milliseconds, point

BTC_1H = Feed("BTC", "bitcoin", ("1h",))
TEN_YEARS = 122  # in windows of 30 days


class Killed(BaseException):
    """What kill -9 looks like from inside."""


def test_the_first_sync_loads_all_there_is(world: World) -> None:
    outcome = world.sync(BTC, ETH)
    assert outcome.counts == {**NOTHING, "series": 3, "inserted": 1000 + 399 + 399}
    assert (outcome.partial, outcome.note) == (False, None)
    assert world.stored()[-2:] == [
        ["2025-06-10T08:00:00Z", "1999.50", "true"],
        ["2025-06-10T09:00:00Z", "2000.50", "false"],
    ]
    assert world.stored("BTC", "1d")[-1] == ["2025-06-09T00:00:00Z", "499.0", "true"]
    assert world.upstream.calls == {"/assets/bitcoin/history": 3 + 3, "/assets/ethereum/history": 3}


def test_history_comes_newest_first_in_windows_no_wider_than_coincaps_own(world: World) -> None:
    world.sync(BTC)
    asked = [(int(query["start"]), int(query["end"]), query["interval"]) for _, query in world.upstream.queries]
    spans = {"h1": 30 * DAY, "d1": 365 * DAY}
    assert all(end - start < spans[interval] / timedelta(milliseconds=1) for start, end, interval in asked)
    ends = [end for _, end, _ in asked]
    assert ends == sorted(ends, reverse=True)  # over both frequencies, not one after the other
    for interval in spans:
        edges = [(start, end) for start, end, which in asked if which == interval]
        assert all(later[0] == earlier[1] + 1 for later, earlier in pairwise(edges))


def test_the_next_sync_asks_only_for_what_is_new(world: World) -> None:
    world.sync(BTC)
    world.upstream.queries.clear()
    world.clock.at = NOW + HOUR
    outcome = world.sync(BTC)
    assert outcome.counts == {**NOTHING, "series": 2, "inserted": 1, "unchanged": 2}
    assert world.stored()[-2:] == [
        ["2025-06-10T09:00:00Z", "2000.50", "true"],
        ["2025-06-10T10:00:00Z", "2001.50", "false"],
    ]
    ((_, asked),) = world.upstream.queries  # yesterday is final already, so no day is asked for
    assert int(asked["start"]) == milliseconds(NOW.replace(hour=8, minute=0))


def test_a_day_is_asked_for_once_it_is_over_and_again_until_it_comes(world: World) -> None:
    world.sync(ETH)
    days = world.upstream._histories["ethereum", "d1"]
    world.upstream.give_history("ethereum", "d1", [row for row in days if row["time"] < milliseconds(NOW) - 86_400_000])
    world.clock.at = datetime(2025, 6, 11, 0, 2, tzinfo=UTC)
    assert world.sync(ETH).counts["inserted"] == 0
    world.upstream.give_history("ethereum", "d1", days)
    world.clock.at += HOUR
    calls = world.calls()
    assert world.sync(ETH).counts["inserted"] == 1
    world.clock.at += HOUR
    assert world.sync(ETH).counts["inserted"] == 0
    assert world.calls() == calls + 1


def test_a_run_for_a_slot_that_was_synced_since_asks_nothing(world: World) -> None:
    world.sync(BTC)
    world.clock.at = NOW + 48 * HOUR
    world.sync(BTC, slot=NOW + HOUR)
    calls = world.calls()
    for hours in range(2, 49):
        assert not world.sync(BTC, slot=NOW + hours * HOUR).partial
    assert world.calls() == calls


def test_a_long_absence_is_caught_up_oldest_first(world: World) -> None:
    world.upstream.give_history("bitcoin", "h1", [point(NOW.replace(minute=0) + n * HOUR, "9.50") for n in range(1600)])
    world.sync(BTC_1H)
    world.upstream.queries.clear()
    world.clock.at = NOW + 65 * DAY
    assert world.sync(BTC_1H).counts["inserted"] == 65 * 24
    starts = [int(query["start"]) for _, query in world.upstream.queries]
    assert (len(starts), starts) == (3, sorted(starts))


def test_a_price_still_forming_is_revised(world: World) -> None:
    world.sync(BTC)
    world.upstream.give_history("bitcoin", "h1", [point(NOW.replace(minute=0), "2007.5")])
    world.clock.at += timedelta(minutes=10)
    assert world.sync(BTC).counts["revised"] == 1
    assert world.stored()[-1] == ["2025-06-10T09:00:00Z", "2007.5", "false"]
    ((old,),) = world.sql("select price_usd::text from pricing.price_revisions")
    assert old == "2000.50"


def test_one_series_failing_leaves_the_others_alone(world: World) -> None:
    world.upstream.fail_next("redirect", path="bitcoin")
    outcome = world.sync(BTC_1H, Feed("NIL", "nothing", ("1d",)), ETH)
    assert outcome.counts == {**NOTHING, "series": 3, "failed": 2, "inserted": 399, "rejected": 1}
    assert outcome.partial
    assert "BTC 1h: The price source answered in a way it never did" in str(outcome.note)
    assert "NIL 1d: The price source does not know this asset" in str(outcome.note)
    assert world.stored() == []


def test_what_asking_again_does_not_mend_is_asked_again_only_for_the_next_slot(world: World) -> None:
    nil = Feed("NIL", "nothing", ("1d",))
    assert world.sync(nil, slot=NOW).counts["failed"] == 1
    outcome = world.sync(nil, slot=NOW)  # the same run, attempted again
    assert (outcome.counts["failed"], outcome.state, world.calls()) == (1, "failed", 1)  # and left to the next slot
    assert "was asked since this run was due" in str(outcome.note)
    world.clock.at = NOW + HOUR
    assert world.sync(nil, slot=NOW + HOUR).state == "partial"
    assert world.calls() == 2


def test_a_run_that_has_something_to_try_again_is_partial_beside_what_failed_already(world: World) -> None:
    nil = Feed("NIL", "nothing", ("1d",))
    world.sync(nil, slot=NOW)
    world.upstream.fail_next("server-error", times=5, path="ethereum")
    assert world.sync(nil, ETH, slot=NOW).state == "partial"
    world.clock.at = NOW + timedelta(minutes=2)
    assert world.sync(nil, ETH, slot=NOW).state == "failed"


def test_an_asset_that_nobody_knows_costs_two_attempts_a_slot(world: World) -> None:
    job = Job(SYNC, "2 * * * *", lambda slot: world.sync(Feed("NIL", "nothing", ("1d",)), slot=slot), from_start=True)
    runs = JobRuns(world.database, job_runs, (job,), world.clock)
    runs.ensure_due_runs()
    for _ in range(4):
        runs.run_due()
        world.sql("update pricing.job_runs set due_at = clock_timestamp() where due_at < '9000-01-01' returning 1")
    assert world.sql("select state, attempts from pricing.job_runs") == [("failed", 2)]


def test_a_run_that_was_killed_goes_on_where_it_was(world: World) -> None:
    def kill(step: str, done: int = 0, total: int = 0, /) -> None:
        if done == 100:
            raise Killed

    world.client = CoinCap
    with pytest.raises(Killed):
        world.sync(BTC_1H, progress=kill)
    ((asked_from,),) = world.sql("select asked_from from pricing.feed_positions")
    assert asked_from == NOW - 100 * 30 * DAY
    world.upstream.calls.clear()
    assert world.sync(BTC_1H).counts["failed"] == 0
    assert world.upstream.calls["/assets/bitcoin/history"] == TEN_YEARS - 100
    assert len(world.stored()) == 1000


def test_progress_counts_the_chunks(world: World) -> None:
    told: list[tuple[str, int, int]] = []
    world.sync(BTC_1H, progress=lambda step, done=0, total=0: told.append((step, done, total)))
    assert told[0] == ("BTC 1h, back to 2025-05-11", 1, 3)
    assert told[-1] == ("BTC 1h, back to 2025-03-12", 3, 3)


def test_a_series_from_before_there_were_positions_goes_on_from_its_prices(world: World) -> None:
    world.sync(BTC_1H)
    world.sql("delete from pricing.feed_positions returning 1")
    world.upstream.queries.clear()
    world.sync(BTC_1H)
    assert int(world.upstream.queries[0][1]["start"]) == milliseconds(NOW.replace(hour=8, minute=0))
    assert int(world.upstream.queries[1][1]["end"]) == milliseconds(NOW.replace(minute=0) - 999 * HOUR) - 1


def test_the_series_not_tried_for_longest_comes_first(world: World) -> None:
    world.sync(BTC_1H, ETH)
    world.clock.at = NOW + DAY
    world.sync(BTC_1H)
    world.upstream.queries.clear()
    world.clock.at = NOW + 2 * DAY
    world.sync(BTC_1H, ETH)
    assert [path for path, _ in world.upstream.queries] == ["/assets/ethereum/history", "/assets/bitcoin/history"]


def test_the_sample_fills_and_gives_way(feeds_of: Callable[[Source], Feeds], world: World, clock: FixedClock) -> None:
    sample = feeds_of(SampleSource(now=lambda: clock.at))
    assert sample.sync_prices([BTC]).counts["inserted"] == 180 * 24 + 1094
    assert world.sync(BTC).counts["inserted"] == 1399
    assert len(world.stored()) == 1000
    assert sample.sync_prices([BTC]).counts == {**NOTHING, "series": 2, "skipped": 2}


def test_an_imported_series_is_skipped_without_a_call(
    world: World, database: Database, upstream: StandinCoinCap
) -> None:
    with database.transaction() as session:
        PriceService(session, world.clock).load("ETH", "1d", "imported", [_Day(NOW.replace(hour=0, minute=0))])
    outcome = world.sync(ETH)
    assert (outcome.counts, outcome.partial) == ({**NOTHING, "series": 1, "skipped": 1}, False)
    assert outcome.note == "ETH 1d holds imported prices; coincap ones cannot be mixed in"
    assert not upstream.calls


class _Day:
    price = Decimal("1.0")

    def __init__(self, timestamp: datetime) -> None:
        self.timestamp = timestamp


def test_an_asset_that_has_no_price_at_all_is_told_of_and_not_asked_for_ten_years_back(
    world: World, upstream: StandinCoinCap
) -> None:
    upstream.unknown = "empty"
    world.client = CoinCap
    outcome = world.sync(Feed("NIL", "nothing", ("1h", "1d")))
    assert (outcome.state, world.calls()) == ("done", 2 * 3)
    told = [f"NIL {one}: no price at all of 'nothing'; is its slug right?" for one in ("1d", "1h")]
    assert sorted(str(outcome.note).replace("right?; ", "right?\n").splitlines()) == told


def test_an_asset_whose_prices_ended_long_ago_is_found_in_later_runs(world: World, upstream: StandinCoinCap) -> None:
    world.client = CoinCap
    midnight = NOW.replace(hour=0, minute=0)
    upstream.give_history("old-coin", "d1", [point(midnight - n * DAY, "2.5") for n in range(1500, 1510)])
    old = Feed("OLD", "old-coin", ("1d",))
    assert world.sync(old).counts["inserted"] == 0
    world.clock.at = NOW + HOUR
    outcome = world.sync(old)
    assert (outcome.counts["inserted"], outcome.note) == (10, None)
    ((asked_from,),) = world.sql("select asked_from from pricing.feed_positions")
    assert asked_from < NOW - 3649 * DAY
