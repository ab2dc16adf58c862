"""What is asked for again, and what is not: a slot, a window, an empty answer, the last days, another asset."""

from typing import Any

import pytest

from services.pricing.database import job_runs
from services.pricing.feeds.budget import Purpose, allowance, cost, reserve
from services.pricing.feeds.policy import SYNC
from services.pricing.feeds.schemas import Feed
from shared.jobs import Job, JobRuns
from tests.services.pricing.conftest import DAY, HOUR
from tests.services.pricing.feeds.conftest import BTC, ETH, NOW, World
from tests.standins.coincap import point

BTC_1H = Feed("BTC", "bitcoin", ("1h",))
MIDNIGHT = NOW.replace(hour=0, minute=0)
DUE_AGAIN = "update pricing.job_runs set due_at = clock_timestamp() where due_at < '9000-01-01' returning 1"
EMPTY = '{"data":[],"timestamp":1}'


def hourly(world: World, hours: int, *feeds: Feed, begin: int = 0) -> list[Any]:
    """The outcomes of so many hourly runs."""
    outcomes = []
    for hour in range(begin, begin + hours):
        world.clock.at = NOW + hour * HOUR
        outcomes.append(world.sync(*feeds, slot=world.clock.at))
    return outcomes


@pytest.mark.parametrize("kind", ["unauthorized", "credits", "retired"])
def test_u2_a_refusal_fails_the_run_which_is_not_attempted_again_but_by_hand(world: World, kind: str) -> None:
    world.upstream.fail_next(kind)
    job = Job(SYNC, "2 * * * *", lambda slot: world.sync(BTC, slot=slot), from_start=True)
    runs = JobRuns(world.database, job_runs, (job,), world.clock)
    runs.ensure_due_runs()
    for _ in range(3):
        runs.run_due()
        world.sql(DUE_AGAIN)
    ((slot, state, attempts),) = world.sql("select slot, state, attempts from pricing.job_runs")
    assert (world.calls(), state, attempts) == (1, "failed", 1)
    assert runs.run_now(SYNC, slot).state == "done"


def test_credits_that_are_kept_for_the_snapshots_fail_the_run_which_waits_for_the_next_slot(world: World) -> None:
    outcome = world.sync(BTC, ETH, budget=allowance(0, [BTC, ETH]))
    assert (outcome.state, outcome.note[:19]) == ("done", "older history waits")
    world.sync(BTC, ETH)
    world.clock.at = NOW + DAY
    assert world.sync(BTC, ETH, budget=allowance(0, [BTC, ETH])).state == "failed"


def test_a_source_that_is_away_leaves_the_run_partial_and_due_again(world: World) -> None:
    world.upstream.fail_next("server-error", times=5)
    assert world.sync(BTC).state == "partial"


def test_older_history_that_is_unreadable_is_looked_at_again_a_day_later_and_then_a_gap(world: World) -> None:
    good, bad = 720, 1440
    last = NOW.replace(minute=0)
    rows = [point(last - n * HOUR, f"{2000 - n}.5" if n < good or n >= bad else "0.0") for n in range(1600)]
    world.upstream.give_history(
        "bitcoin", "h1", [*rows[::-1], *(point(last + n * HOUR, "2000.5") for n in range(1, 40))]
    )
    first, *later = hourly(world, 6, BTC_1H)
    assert (first.state, {outcome.state for outcome in later}) == ("partial", {"done"})
    windows = [query for _, query in world.upstream.queries if int(query["end"]) - int(query["start"]) > 86_400_000 * 9]
    assert len(windows) == 2
    assert hourly(world, 1, BTC_1H, begin=25)[0].state == "done"
    assert len(world.stored()) == good + 160 + 25


def test_older_history_that_is_refused_is_asked_for_once_a_day(world: World) -> None:
    def refuse(_step: str, done: int = 0, _total: int = 0, /) -> None:
        world.upstream.fail_next("redirect", times=done == 1)

    assert world.sync(BTC_1H, slot=NOW, progress=refuse).state == "partial"
    asked = world.calls()
    assert {outcome.state for outcome in hourly(world, 5, BTC_1H, begin=1)} == {"done"}
    assert world.calls() == asked + 5  # what is new
    hourly(world, 1, BTC_1H, begin=24)
    assert len(world.stored()) == 1000 + 24


def test_u3_an_empty_answer_right_before_known_prices_is_looked_at_twice(world: World) -> None:
    def hiccup(step: str, done: int = 0, _total: int = 0, /) -> None:
        world.upstream.fail_next("body", times=done == 1 and "back" in step, text=EMPTY)

    assert world.sync(BTC_1H, progress=hiccup).counts["rejected"] == 1
    assert len(world.stored()) == 720 - 1 + 1
    hourly(world, 1, BTC_1H, begin=1)
    assert len(world.stored()) == 1000 + 1


def test_an_answer_that_stays_empty_is_a_gap_and_history_goes_on(world: World) -> None:
    kept = [n for n in range(1500) if not 720 <= n < 1440]
    world.upstream.give_history("bitcoin", "h1", [point(NOW.replace(minute=0) - n * HOUR, "9.5") for n in kept][::-1])
    hourly(world, 3, BTC_1H)
    assert len(world.stored()) == len(kept)


def test_the_last_days_are_asked_for_again_once_a_day(world: World) -> None:
    late = (NOW + 2 * HOUR).replace(minute=0)
    rows = {at: point(at, "100.5") for at in (NOW.replace(minute=0) + n * HOUR for n in range(-10, 40))}
    world.upstream.give_history("bitcoin", "h1", [row for at, row in rows.items() if at != late])
    hourly(world, 5, BTC_1H)
    world.upstream.give_history("bitcoin", "h1", rows.values())
    days = world.upstream._histories["bitcoin", "d1"]
    hourly(world, 8, BTC, begin=5)
    assert len(world.stored()) == 10 + 13 - 1  # the hour that came late is not looked for yet
    revised = MIDNIGHT - 3 * DAY
    world.upstream.give_history("bitcoin", "d1", [*days[:-9], *(point(MIDNIGHT - n * DAY, "777.5") for n in range(9))])
    hourly(world, 4, BTC, begin=15)  # over midnight
    assert len(world.stored()) == 10 + 19
    assert [revised.strftime("%Y-%m-%dT%H:%M:%SZ"), "777.5", "true"] in world.stored("BTC", "1d")
    calls = world.calls()
    hourly(world, 2, BTC, begin=19)
    assert world.calls() == calls + 2  # an hour each, and no day


def test_another_asset_takes_the_place_of_the_whole_series_once_it_has_a_price(world: World) -> None:
    world.sync(ETH)
    days = [point(MIDNIGHT - n * DAY, f"{400 - n % 7}.123") for n in range(-5, 400)]
    other = Feed("ETH", "ether-right", ("1d",))
    world.clock.at = NOW + DAY
    for _ in range(2):
        assert world.sync(other, slot=world.clock.at).partial  # nobody knows it: the old one stays as it is
        assert len(world.stored("ETH", "1d")) == 399
        world.clock.at += HOUR
    world.upstream.give_history("ether-right", "d1", days[::-1])
    assert world.sync(other, slot=world.clock.at).counts["inserted"] == 400
    assert all(price.endswith(".123") for _, price, _ in world.stored("ETH", "1d"))
    assert world.sql("select slug from pricing.feed_positions") == [("ether-right",)]


def test_an_asset_that_comes_back_after_a_slip_goes_on_where_it_was(world: World) -> None:
    world.sync(ETH)
    world.clock.at = NOW + HOUR
    assert world.sync(Feed("ETH", "etherium", ("1d",)), slot=world.clock.at).partial
    world.clock.at = NOW + DAY
    asked = world.calls()
    assert world.sync(ETH, slot=world.clock.at).counts["inserted"] == 1
    assert world.calls() == asked + 1  # and not its whole history


def test_the_snapshots_of_many_datasets_are_all_kept_for() -> None:
    many = [Feed(f"D{n}", f"asset-{n}", ("1d",)) for n in range(100)]
    day = NOW.date().replace(day=1)
    assert reserve(allowance(4_000, many), Purpose.SYNC, day) >= 30 * cost(600 * 100)
