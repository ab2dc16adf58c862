"""Market capitalisations: a day's, live or remembered or derived, and once those of all the days before."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest

from services.pricing.database import job_runs
from services.pricing.feeds.budget import Purpose, allowance, reserve
from services.pricing.feeds.coincap import CoinCap
from services.pricing.feeds.sample import SampleSource
from services.pricing.feeds.schemas import Feed
from services.pricing.feeds.snapshots import COUNTS, Snapshots
from services.pricing.feeds.source import Source
from shared.jobs import Job, JobRuns
from tests.services.pricing.conftest import DAY, HOUR, FixedClock
from tests.services.pricing.feeds.conftest import BTC, ETH, NOW, Shallow, World
from tests.standins.coincap import StandinCoinCap, point

SLOT = datetime(2025, 6, 10, 20, tzinfo=UTC)
HISTORY = "/assets/bitcoin/marketcap-history"


def caps(world: World, dataset: str = "BTC") -> list[tuple[str, str, str]]:
    rows = world.sql(
        "select date::text, market_cap_usd::text, provenance from pricing.market_caps where dataset = :dataset "
        "order by date",
        dataset=dataset,
    )
    return [(day, cap, provenance) for day, cap, provenance in rows]


def counts(**told: int) -> dict[str, int]:
    return {**dict.fromkeys(COUNTS, 0), **told}


def test_today_is_observed_with_one_call_for_all(world: World, upstream: StandinCoinCap) -> None:
    upstream.give_market_cap("bitcoin", "1394938121675.859863281250000000")
    upstream.give_market_cap("ethereum", "250000000000.10")
    outcome = world.snapshot(SLOT, BTC, ETH)
    assert (outcome.counts, outcome.partial) == (counts(written=2), False)
    assert caps(world) == [("2025-06-10", "1394938121675.859863281250000000", "observed")]
    assert caps(world, "ETH") == [("2025-06-10", "250000000000.10", "observed")]
    assert upstream.calls["/assets"] == 1


class ByTwos(Shallow):
    """CoinCap's client that asks for fewer assets at once."""

    at_once = 2


@pytest.mark.parametrize(("kind", "calls", "missing"), [("redirect", 3, 2), ("credits", 2, 3)])
def test_of_many_assets_those_that_were_answered_are_kept(
    world: World, upstream: StandinCoinCap, kind: str, calls: int, missing: int
) -> None:
    many = [Feed(f"D{n}", f"coin-{n}", ("1d",)) for n in range(5)]
    for feed in many:
        upstream.give_market_cap(feed.slug, "5")
    world.client = ByTwos
    upstream.fail_next(kind, path="/assets", asked="coin-2")
    outcome = world.snapshot(SLOT, *many)
    assert (outcome.counts["written"], outcome.counts["missing"]) == (5 - missing, missing)
    assert (outcome.partial, upstream.calls["/assets"]) == (True, calls)


def test_a_run_of_the_same_day_changes_nothing(world: World, upstream: StandinCoinCap) -> None:
    upstream.give_market_cap("bitcoin", "1.5")
    world.snapshot(SLOT, BTC)
    upstream.give_market_cap("bitcoin", "2.5")
    assert world.snapshot(SLOT, BTC).counts == counts(held=1)
    assert caps(world) == [("2025-06-10", "1.5", "observed")]
    assert upstream.calls["/assets"] == 1


def test_a_missed_day_comes_from_the_vendors_history_nearest_the_slot(world: World, upstream: StandinCoinCap) -> None:
    upstream.give_market_cap("bitcoin", "999.0")
    missed = SLOT - 2 * DAY
    moments = [(missed - timedelta(hours=19), "1.0"), (missed - 3 * HOUR, "2.50"), (missed + 3 * HOUR, "3.0")]
    upstream.give_market_cap_history("bitcoin", [*moments, (missed + HOUR, "4.50")])
    outcome = world.snapshot(missed, BTC, ETH)
    assert (outcome.counts, outcome.partial) == (counts(written=1, unknown=1), False)
    assert caps(world) == [("2025-06-08", "4.50", "vendor-history")]
    assert caps(world, "ETH") == []
    assert upstream.calls["/assets"] == 0


def test_a_missed_day_that_the_vendor_lacks_is_price_times_supply_of_the_hour_nearest_20_00(
    world: World, upstream: StandinCoinCap
) -> None:
    missed = SLOT - DAY
    hours = [point(missed + n * HOUR, f"{100 + n}.25", supply="19876725.0000000000000003") for n in (-5, -2, 3)]
    absurd = point(missed - HOUR, "99999.5", supply="19876725.0")
    upstream.give_history("bitcoin", "h1", [*hours, absurd, point(missed, "100.25")])  # 20:00 itself has no supply
    outcome = world.snapshot(missed, BTC)
    assert (outcome.counts, outcome.partial) == (counts(written=1), False)
    assert caps(world) == [("2025-06-09", "1952888231.250000000000029475", "derived")]
    ((at,),) = world.sql("select observed_at from pricing.market_caps")
    assert at == missed - 2 * HOUR


def test_a_better_provenance_that_comes_later_keeps_the_earlier_as_a_revision(
    world: World, upstream: StandinCoinCap
) -> None:
    missed = SLOT - DAY
    upstream.give_history("bitcoin", "h1", [point(missed, "2.5", supply="2")])
    world.snapshot(missed, BTC)
    upstream.give_market_cap_history("bitcoin", [(missed, "5.25")])
    assert world.snapshot(missed, BTC).counts == counts(written=1)
    assert caps(world) == [("2025-06-09", "5.25", "vendor-history")]
    revisions = world.sql("select market_cap_usd::text, provenance from pricing.market_cap_revisions")
    assert revisions == [("5.0", "derived")]


@pytest.mark.parametrize("fault", ["drift", "redirect", "html"])
def test_a_derived_value_is_bettered_by_the_next_attempt_where_the_vendor_had_not_answered(
    world: World, upstream: StandinCoinCap, fault: str
) -> None:
    missed = SLOT - DAY
    upstream.give_history("bitcoin", "h1", [point(missed, "2.5", supply="4")])
    upstream.give_market_cap_history("bitcoin", [(missed, "5.25")])
    kind, options = ("body", {"text": '{"data":{"drift":1}}'}) if fault == "drift" else (fault, {})
    upstream.fail_next(kind, times=5, path="marketcap-history", **options)
    outcome = world.snapshot(missed, BTC)
    assert (outcome.state, outcome.counts["written"], outcome.counts["missing"]) == (
        "partial",
        0 if fault == "html" else 1,
        1,
    )
    upstream._faults.clear()
    world.clock.at += 2 * HOUR
    outcome = world.snapshot(missed, BTC)
    assert (outcome.state, outcome.counts["written"], outcome.counts["missing"]) == ("done", 1, 0)
    assert caps(world) == [("2025-06-09", "5.25", "vendor-history")]


def test_a_derived_value_that_is_held_is_not_enough_while_the_vendor_does_not_answer(
    world: World, upstream: StandinCoinCap
) -> None:
    missed = SLOT - DAY
    upstream.give_history("bitcoin", "h1", [point(missed, "2.5", supply="4")])
    assert world.snapshot(missed, BTC).state == "done"
    upstream.fail_next("redirect", path="marketcap-history")
    outcome = world.snapshot(missed, BTC, Feed("NIL", "nothing", ("1d",)))
    assert (outcome.state, outcome.counts) == ("partial", counts(missing=1, unknown=1, rejected=1))
    upstream.give_market_cap_history("bitcoin", [])
    assert world.snapshot(missed, BTC).counts == counts(held=1)
    assert caps(world) == [("2025-06-09", "10.0", "derived")]


def test_hours_that_carry_a_supply_derive_the_days_before_while_history_is_loaded(
    world: World, upstream: StandinCoinCap
) -> None:
    start = NOW.replace(hour=0, minute=0) - 3 * DAY
    upstream.give_history("bitcoin", "h1", [point(start + n * HOUR, "2.5", supply="4") for n in range(82)])
    world.sync(Feed("BTC", "bitcoin", ("1h",)))
    assert caps(world) == [(f"2025-06-0{day}", "10.0", "derived") for day in (7, 8, 9)]


def test_a_new_datasets_earlier_days_are_filled_once(world: World, upstream: StandinCoinCap) -> None:
    midnight = NOW.replace(hour=0, minute=0)
    earlier = [(midnight - n * DAY - 4 * HOUR, f"{n}.5") for n in range(500)]
    upstream.give_market_cap_history("bitcoin", [*earlier, (midnight - 9 * HOUR, "77.0")])
    upstream.give_market_cap("bitcoin", "1.25")
    assert world.snapshot(SLOT, BTC).counts == counts(written=1, earlier=500)
    assert caps(world)[-2:] == [("2025-06-09", "0.5", "vendor-history"), ("2025-06-10", "1.25", "observed")]
    assert len(caps(world)) == 501
    assert upstream.calls[HISTORY] == 3
    world.clock.at = NOW + DAY
    assert world.snapshot(SLOT + DAY, BTC).counts == counts(written=1)
    assert upstream.calls[HISTORY] == 3


def test_a_source_that_refuses_the_earlier_days_is_asked_again_the_next_day(
    world: World, upstream: StandinCoinCap
) -> None:
    upstream.give_market_cap("bitcoin", "1.25")
    for _ in range(3):
        assert not world.snapshot(SLOT, BTC).partial
    assert upstream.calls[HISTORY] == 1
    world.clock.at = NOW + DAY
    world.snapshot(SLOT + DAY, BTC)
    assert upstream.calls[HISTORY] == 2


def test_todays_value_never_goes_into_a_missed_day(world: World, upstream: StandinCoinCap) -> None:
    upstream.give_market_cap("bitcoin", "999.0")
    upstream.give_market_cap_history("bitcoin", [(NOW, "999.0")])
    outcome = world.snapshot(SLOT - DAY, BTC)
    assert (outcome.counts, outcome.partial) == (counts(unknown=1), False)
    assert caps(world) == []


def test_a_value_that_is_not_known_leaves_no_row(world: World, upstream: StandinCoinCap) -> None:
    upstream.give_market_cap("bitcoin", None)
    outcome = world.snapshot(SLOT, BTC)
    assert (outcome.counts["unknown"], outcome.partial) == (1, False)
    upstream.fail_next("unauthorized")
    outcome = world.snapshot(SLOT, BTC)
    assert (outcome.counts["missing"], outcome.state) == (1, "failed")
    assert "refused the API key" in str(outcome.note)
    assert caps(world) == []


def test_an_answer_that_came_after_midnight_is_not_yesterdays(
    snapshots_of: Callable[[Source], Snapshots], upstream: StandinCoinCap, world: World
) -> None:
    upstream.give_market_cap("bitcoin", "1.5")
    with CoinCap(upstream.url, upstream.key, now=lambda: NOW + DAY) as late:
        assert snapshots_of(late).backfill_market_caps([BTC], SLOT).counts["missing"] == 1
    assert caps(world) == []


@pytest.mark.parametrize("slot", [SLOT, SLOT - DAY])
def test_the_samples_values_are_called_sample_and_give_way(
    snapshots_of: Callable[[Source], Snapshots],
    upstream: StandinCoinCap,
    world: World,
    clock: FixedClock,
    slot: datetime,
) -> None:
    sample = snapshots_of(SampleSource(now=lambda: clock.at))
    assert sample.backfill_market_caps([BTC], slot).counts["written"] == 1
    assert [provenance for _, _, provenance in caps(world)] == ["sample"]
    upstream.give_market_cap("bitcoin", "1.5")
    upstream.give_market_cap_history("bitcoin", [(SLOT - DAY, "2.5")])
    assert world.snapshot(slot, BTC).counts["written"] == 1
    yesterday = ("2025-06-09", "2.5", "vendor-history")
    real = [yesterday, ("2025-06-10", "1.5", "observed")] if slot == SLOT else [yesterday]
    assert caps(world) == real
    assert sample.backfill_market_caps([BTC], slot).counts["held"] == 1
    assert caps(world) == real


def test_a_day_that_nobody_knows_is_asked_for_once(world: World, upstream: StandinCoinCap) -> None:
    upstream.give_market_cap("bitcoin", None)
    upstream.give_market_cap_history("bitcoin", [(NOW - 400 * DAY, "1.5")])
    job = Job("backfill-market-caps", "0 20 * * *", lambda slot: world.snapshot(slot, Feed("NIL", "bitcoin", ("1d",))))
    runs = JobRuns(world.database, job_runs, (job,), world.clock)
    runs.ensure_due_runs()
    world.clock.at = SLOT
    for _ in range(5):
        world.sql("update pricing.job_runs set due_at = clock_timestamp() returning 1")
        runs.run_due()
        world.clock.at += 6 * HOUR
    assert (upstream.calls["/assets"], world.sql("select state, attempts from pricing.job_runs")) == (1, [("done", 1)])


@pytest.mark.parametrize("kind", ["unauthorized", "credits", "retired"])
def test_u2_a_day_that_was_refused_is_had_from_the_history_once_the_cause_is_mended(
    world: World, upstream: StandinCoinCap, kind: str
) -> None:
    world.clock.at = SLOT - HOUR
    job = Job("backfill-market-caps", "0 20 * * *", lambda slot: world.snapshot(slot, BTC))
    runs = JobRuns(world.database, job_runs, (job,), world.clock)
    runs.ensure_due_runs()
    upstream.give_market_cap("bitcoin", "1.5")
    upstream.give_market_cap_history("bitcoin", [(SLOT, "1.25")])
    world.clock.at = SLOT
    upstream.fail_next(kind)
    runs.run_due()
    assert world.calls() == 1
    ((state, rest),) = world.sql("select state, extract(epoch from due_at - finished_at)::int from pricing.job_runs")
    assert (state, rest, caps(world)) == ("failed", 86_400, [])
    world.clock.at = SLOT + DAY
    world.sql("update pricing.job_runs set due_at = clock_timestamp() returning 1")
    runs.run_due()
    assert world.sql("select state, attempts from pricing.job_runs") == [("done", 2)]
    assert caps(world) == [("2025-06-10", "1.25", "vendor-history")]


@pytest.mark.parametrize("kind", ["unauthorized", "forbidden", "credits", "retired"])
@pytest.mark.parametrize("slot", [SLOT, SLOT - DAY])
def test_u2_a_refusal_is_asked_for_once_whatever_else_there_is_to_ask(
    world: World, upstream: StandinCoinCap, slot: datetime, kind: str
) -> None:
    world.clock.at = SLOT
    upstream.fail_next(kind, times=9)
    outcome = world.snapshot(slot, BTC, ETH)
    assert (outcome.state, outcome.counts, world.calls()) == ("failed", counts(missing=2), 1)


def test_old_days_by_hand_leave_the_reserve_of_the_daily_jobs_and_missed_ones_are_theirs(
    world: World, upstream: StandinCoinCap
) -> None:
    kept = reserve(allowance(4000, [BTC]), Purpose.BACKFILL, NOW.date())
    only_the_reserve = allowance(kept, [BTC])
    upstream.give_market_cap_history("bitcoin", [(SLOT - n * DAY, "2.5") for n in (3, 100)])
    outcome = world.snapshot(SLOT - 100 * DAY, BTC, budget=only_the_reserve)
    assert (outcome.state, outcome.counts["missing"], world.calls()) == ("failed", 1, 0)
    assert "kept for the daily jobs" in str(outcome.note)
    outcome = world.snapshot(SLOT - 3 * DAY, BTC, budget=only_the_reserve)
    assert (outcome.state, outcome.counts["written"], world.calls()) == ("done", 1, 1)


def test_earlier_days_of_which_there_are_none_right_before_known_ones_are_looked_at_twice(
    world: World, upstream: StandinCoinCap
) -> None:
    upstream.give_market_cap("bitcoin", "1.25")
    upstream.give_market_cap_history("bitcoin", [(SLOT - n * DAY, f"{n}.5") for n in range(1, 50)])
    upstream.fail_next("body", path="marketcap-history", text='{"data":[],"timestamp":1}')
    assert world.snapshot(SLOT, BTC).counts["earlier"] == 0
    world.clock.at = NOW + DAY
    assert world.snapshot(SLOT + DAY, BTC).counts["earlier"] == 49

    world.clock.at = NOW + 2 * DAY
    calls = upstream.calls[HISTORY]
    world.snapshot(SLOT + 2 * DAY, BTC)
    assert upstream.calls[HISTORY] == calls


def test_another_asset_takes_the_place_of_all_days_once_it_has_a_value(world: World, upstream: StandinCoinCap) -> None:
    upstream.give_market_cap("bitcoin", "1.25")
    upstream.give_market_cap_history("bitcoin", [(SLOT - n * DAY, f"{n}.5") for n in range(1, 50)])
    world.snapshot(SLOT, BTC)
    right = Feed("BTC", "bitcoin-right", ("1d",))
    world.clock.at = SLOT + HOUR
    assert world.snapshot(SLOT, right).counts["written"] == 0  # nobody knows it: the old ones stay as they are
    assert len(caps(world)) == 50
    world.clock.at = NOW + DAY
    upstream.give_market_cap("bitcoin-right", "7.75")
    upstream.give_market_cap_history("bitcoin-right", [(SLOT - n * DAY, f"{n}.75") for n in range(30)])
    assert world.snapshot(SLOT + DAY, right).counts == counts(written=1, earlier=30)
    assert len(caps(world)) == 31
    assert all(cap.endswith(".75") for _, cap, _ in caps(world))
    assert world.sql("select slug from pricing.feed_positions where frequency = 'cap'") == [("bitcoin-right",)]


def test_another_assets_value_of_the_same_day_is_not_held(world: World, upstream: StandinCoinCap) -> None:
    upstream.give_market_cap("bitcoin", "1.25")
    upstream.give_market_cap("bitcoin-right", "7.75")
    world.snapshot(SLOT, BTC)
    assert world.snapshot(SLOT, Feed("BTC", "bitcoin-right", ("1d",))).counts == counts(written=1)
    assert caps(world) == [("2025-06-10", "7.75", "observed")]


def test_hours_of_another_asset_derive_no_days_among_the_old_ones(world: World, upstream: StandinCoinCap) -> None:
    start = NOW.replace(hour=0, minute=0) - 3 * DAY
    for slug, supply in (("bitcoin", "4"), ("bitcoin-right", "6")):
        upstream.give_history(slug, "h1", [point(start + n * HOUR, "2.5", supply=supply) for n in range(82)])
    upstream.give_market_cap("bitcoin", "1.25")
    world.snapshot(SLOT, BTC)
    world.sync(Feed("BTC", "bitcoin", ("1h",)))
    assert len(caps(world)) == 4
    world.clock.at = NOW + HOUR
    world.sync(Feed("BTC", "bitcoin-right", ("1h",)))
    assert caps(world) == [(f"2025-06-0{day}", "15.0", "derived") for day in (7, 8, 9)]


def test_a_source_that_has_no_earlier_days_is_believed_at_the_second_look(
    world: World, upstream: StandinCoinCap
) -> None:
    upstream.give_market_cap("bitcoin", "1.25")
    upstream.give_market_cap_history("bitcoin", [])
    for day in range(4):
        world.clock.at = NOW + day * DAY
        world.snapshot(SLOT + day * DAY, BTC)
    assert upstream.calls[HISTORY] == 2
