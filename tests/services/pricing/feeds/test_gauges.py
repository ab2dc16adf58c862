"""U3: what pricing's tables say to Prometheus: what was distrusted, which series drifted, the breaker, the credits."""

from services.pricing.feeds.budget import Allowance
from services.pricing.feeds.repository import feed_gauges
from services.pricing.module import module
from shared.scheduler import gauges_of
from tests.services.pricing.conftest import HOUR
from tests.services.pricing.feeds.conftest import BTC, NOW, World
from tests.standins.coincap import point

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
