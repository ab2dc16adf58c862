"""U3: what pricing's tables say to Prometheus: what was distrusted, which series drifted, the breaker, the credits."""

from datetime import UTC, datetime

import pytest

from services.pricing.feeds.budget import Allowance
from services.pricing.feeds.repository import feed_gauges
from services.pricing.feeds.schemas import Feed
from services.pricing.module import module
from shared.scheduler import gauges_of
from tests.services.pricing.conftest import DAY, HOUR
from tests.services.pricing.feeds.conftest import NOW, World
from tests.standins.coincap import point

SLOT = datetime(2025, 6, 10, 20, tzinfo=UTC)
BTC = Feed("BTC", "bitcoin", ("1h",))
PLENTY = Allowance(100_000, snapshots=1, syncs=1)


def figures(world: World) -> dict[str, float]:
    """All of them."""
    with world.database.transaction() as session:
        return feed_gauges(session)


def test_the_scheduler_shows_them() -> None:
    assert feed_gauges in gauges_of(module)


def test_u3_drift_raises_a_figure_until_an_answer_can_be_trusted_again(world: World) -> None:
    assert set(figures(world).values()) == {0}
    world.upstream.give_history("bitcoin", "h1", [point(NOW.replace(minute=0), "100.50")])
    world.upstream.fail_next("body", text='{"data":["drift"]}')
    world.sync(BTC, budget=PLENTY)
    found = figures(world)
    assert (found["feed_drifted"], found["feed_failed"], found["feed_quarantined"]) == (1, 1, 1)
    world.clock.at = NOW + HOUR
    world.sync(BTC, budget=PLENTY)
    found = figures(world)
    assert (found["feed_drifted"], found["feed_failed"], found["feed_quarantined"]) == (0, 0, 1)


@pytest.mark.parametrize(
    ("kind", "reason", "raw"),
    [
        ("truncated", "200 without JSON", '{"data": [{"priceUsd"'),
        ("html", "200 without JSON", "<html><head>"),
        ("empty-body", "200 without JSON", ""),
        ("oversize", "more than 5000000 bytes", " " * 2000),
        ("bomb", "compressed, although it was asked not to be", ""),
    ],
)
def test_u3_an_answer_that_is_no_data_is_quarantined_and_raises_the_figure_until_one_is(
    world: World, kind: str, reason: str, raw: str
) -> None:
    world.upstream.give_history("bitcoin", "h1", [point(NOW.replace(minute=0), "100.50")])
    world.upstream.fail_next(kind, times=5)
    outcome = world.sync(BTC, budget=PLENTY)
    assert (outcome.partial, outcome.counts["rejected"], world.stored()) == (True, 1, [])
    ((dataset, frequency, why, kept, times),) = world.sql(
        "select dataset, frequency, reason, raw, times from pricing.quarantine"
    )
    assert (dataset, frequency, why, times) == ("BTC", "1h", reason, 1)
    assert kept.startswith(raw)
    assert figures(world)["feed_drifted"] == 1
    world.upstream._faults.clear()
    world.clock.at = NOW + HOUR
    world.sync(BTC, budget=PLENTY)
    assert (figures(world)["feed_drifted"], figures(world)["feed_quarantined"]) == (0, 1)


@pytest.mark.parametrize("kind", ["truncated", "html", "oversize"])
def test_u3_a_market_caps_answer_that_is_no_data_is_quarantined_and_raises_the_figure_until_one_is(
    world: World, kind: str
) -> None:
    world.clock.at = SLOT
    world.upstream.give_market_cap("bitcoin", "1.5")
    world.upstream.fail_next(kind, times=5, path="/assets")
    assert world.snapshot(SLOT, BTC).state == "partial"
    found = figures(world)
    assert (found["feed_drifted"], found["feed_failed"], found["feed_quarantined"]) == (1, 1, 1)
    world.upstream._faults.clear()
    world.upstream.give_market_cap_history("bitcoin", [(SLOT - DAY, "2.5")])
    world.clock.at = SLOT + HOUR
    assert world.snapshot(SLOT, BTC).state == "done"
    found = figures(world)
    assert (found["feed_drifted"], found["feed_failed"], found["feed_quarantined"]) == (0, 0, 1)


def test_u3_what_is_kept_of_an_answer_does_not_repeat_the_key_nor_a_piece_of_it(world: World) -> None:
    text = "x" * 1990 + world.upstream.key + "\x00" * 100
    world.upstream.fail_next("body", text=text, times=5)
    world.sync(BTC, budget=PLENTY)
    assert world.sql("select raw from pricing.quarantine") == [("x" * 1990 + "***" + "\N{REPLACEMENT CHARACTER}" * 7,)]


def test_what_is_wrong_is_kept_for_ninety_days(world: World) -> None:
    world.upstream.fail_next("html", times=5)
    world.sync(BTC, budget=PLENTY)
    for days, kept in ((90, 2), (91, 1)):
        world.clock.at = NOW + days * DAY
        world.upstream.fail_next("redirect")
        world.sync(BTC, budget=PLENTY)
        assert figures(world)["feed_quarantined"] == kept


def test_a_series_that_fails_without_a_wrong_item_has_not_drifted(world: World) -> None:
    world.upstream.fail_next("body", text='{"error":"bitcoin not found"}', status=404)
    world.sync(BTC, budget=PLENTY)
    assert (figures(world)["feed_failed"], figures(world)["feed_drifted"]) == (1, 0)


def test_u5_failures_in_a_row_and_an_open_breaker_are_shown(world: World) -> None:
    world.upstream.fail_next("server-error", times=5)
    world.sync(BTC, budget=PLENTY)
    assert figures(world)["upstream_failures"] == 5
    assert figures(world)["upstream_open"] == 0  # at the moment of the test's clock: that minute was over long ago
    world.sql("update pricing.upstreams set open_until = clock_timestamp() + interval '1 minute' returning 1")
    assert figures(world)["upstream_open"] == 1


def test_what_is_left_of_this_month_is_shown(world: World) -> None:
    world.sync(BTC, budget=PLENTY)
    assert figures(world)["upstream_credits_left"] == PLENTY.credits  # of another month than the test's clock's
    world.sql("update pricing.upstreams set month = clock_timestamp() at time zone 'UTC', credits = 90000 returning 1")
    world.sql("update pricing.upstreams set month = month - extract(day from month)::int + 1 returning 1")
    assert figures(world)["upstream_credits_left"] == 10_000
