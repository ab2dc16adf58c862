"""U3 and U4 for market capitalisations: what CoinCap sends wrong goes to quarantine and becomes no day's value."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from services.pricing.feeds.repository import feed_gauges
from tests.services.pricing.conftest import DAY, HOUR
from tests.services.pricing.feeds.conftest import BTC, ETH, World
from tests.standins.coincap import point

SLOT = datetime(2025, 6, 10, 20, tzinfo=UTC)
HISTORY = "marketcap-history"
MANY = 120


def caps(world: World) -> list[tuple[Any, ...]]:
    return world.sql(
        "select dataset, date::text, market_cap_usd::text, provenance from pricing.market_caps order by 1, 2"
    )


def quarantine(world: World) -> list[tuple[Any, ...]]:
    """Whose, where, why, and how often."""
    return world.sql("select dataset, frequency, reason, times from pricing.quarantine order by 1, 2, 3")


def gauges(world: World) -> tuple[float, float, float]:
    with world.database.transaction() as session:
        told = feed_gauges(session)
    return told["feed_quarantined"], told["feed_failed"], told["feed_drifted"]


@pytest.mark.parametrize(
    ("kind", "reason"),
    [
        ("nan", "marketCapUsd is not a finite decimal number"),
        ("negative", "marketCapUsd is not above zero"),
        ("zero", "marketCapUsd is not above zero"),
        ("no-value", "marketCapUsd is missing"),
        ("huge-exponent", "marketCapUsd has more than 40 significant digits"),
        ("conflict", "two different values for one time"),
    ],
)
def test_u4_a_wrong_snapshot_is_quarantined_beside_the_good_ones_and_comes_right_with_the_next_attempt(
    world: World, kind: str, reason: str
) -> None:
    world.upstream.give_market_cap("bitcoin", "1394938121675.5")
    world.upstream.give_market_cap("ethereum", "2.5")
    for slug in ("bitcoin", "ethereum"):
        world.upstream.give_market_cap_history(slug, [])
    world.upstream.fail_next(kind, path="/assets")
    outcome = world.snapshot(SLOT, BTC, ETH)
    wrong = 2 if kind == "conflict" else 1
    assert (outcome.partial, outcome.counts["missing"], outcome.counts["rejected"]) == (True, 1, wrong)
    assert caps(world) == [("ETH", "2025-06-10", "2.5", "observed")]
    assert quarantine(world) == [("BTC", "cap", reason, 1)] * wrong
    ((raw, source),) = world.sql("select raw, source from pricing.quarantine order by raw desc limit 1")
    assert ('"id": "bitcoin"' in raw, source) == (True, "coincap")
    assert gauges(world) == (wrong, 0, 0)  # the answer as a whole has not drifted
    assert not world.snapshot(SLOT, BTC, ETH).partial
    assert caps(world)[0] == ("BTC", "2025-06-10", "1394938121675.5", "observed")


def test_what_does_not_say_whose_it_is_may_be_anybodys(world: World) -> None:
    for slug in ("bitcoin", "ethereum"):
        world.upstream.give_market_cap(slug, "2.5")
    world.upstream.fail_next("not-an-object", path="/assets")
    outcome = world.snapshot(SLOT, BTC, ETH)
    assert (outcome.counts["written"], outcome.counts["missing"]) == (1, 1)
    assert quarantine(world) == [(dataset, "cap", "not an object", 1) for dataset in ("BTC", "ETH")]


def test_a_null_is_neither_a_value_nor_wrong(world: World) -> None:
    world.upstream.give_market_cap("bitcoin", None)
    world.upstream.give_market_cap_history("bitcoin", [(SLOT - 2 * DAY, None), (SLOT - 3 * DAY, "1.5")])
    outcome = world.snapshot(SLOT, BTC)
    assert (outcome.counts["unknown"], outcome.counts["earlier"], outcome.counts["rejected"]) == (1, 1, 0)
    assert [(day, cap) for _, day, cap, _ in caps(world)] == [("2025-06-07", "1.5")]
    assert (quarantine(world), gauges(world)) == ([], (0, 0, 0))


@pytest.mark.parametrize(
    "text", ['{"data":null}', '{"data":["drift"]}', '{"error":"x"}', '{"data":[{"id":"bitcoin"}]}']
)
def test_u3_a_drifted_snapshot_is_quarantined_and_raises_a_figure_until_one_can_be_trusted(
    world: World, text: str
) -> None:
    world.upstream.give_market_cap("bitcoin", "1.5")
    world.upstream.fail_next("body", path="/assets", text=text)
    outcome = world.snapshot(SLOT, BTC)
    assert (outcome.partial, caps(world), gauges(world)) == (True, [], (1, 1, 1))
    assert "BTC: Nothing in the price source's answer could be trusted" in str(outcome.note)
    world.clock.at += timedelta(minutes=10)
    world.upstream.give_market_cap_history("bitcoin", [(SLOT - DAY, "2.5")])
    outcome = world.snapshot(SLOT, BTC)
    assert (outcome.partial, outcome.counts["written"], outcome.counts["earlier"]) == (False, 1, 1)
    assert gauges(world) == (1, 0, 0)


def test_u3_a_drifted_history_of_earlier_days_is_quarantined_once_a_day_until_it_can_be_trusted(world: World) -> None:
    world.upstream.give_market_cap("bitcoin", "1.5")
    world.upstream.give_market_cap_history("bitcoin", [(SLOT - 2 * DAY, "2.5")])
    world.upstream.fail_next("body", path=HISTORY, text='{"data":{"bitcoin":"1.5"}}')
    for _ in range(2):
        outcome = world.snapshot(SLOT, BTC)
        assert (outcome.partial, len(caps(world)), gauges(world)) == (False, 1, (1, 1, 1))
    assert quarantine(world) == [("BTC", "cap", "data is not an array", 1)]
    world.clock.at += DAY
    assert world.snapshot(SLOT + DAY, BTC).counts["earlier"] == 1
    assert gauges(world) == (1, 0, 0)


def test_u4_wrong_days_of_a_history_are_quarantined_and_the_others_filled_in_order(world: World) -> None:
    moments = [(SLOT - n * DAY, f"{n}.5" if n % 3 else "-1") for n in range(1, 10)]
    world.upstream.give_market_cap("bitcoin", "0.5")
    world.upstream.give_market_cap_history("bitcoin", moments)
    world.upstream.fail_next("seconds", path=HISTORY, at=1)
    outcome = world.snapshot(SLOT, BTC)
    assert (outcome.partial, outcome.counts["earlier"], outcome.counts["rejected"]) == (False, 5, 4)
    assert [float(cap) for _, _, cap, _ in caps(world)] == [7.5, 5.5, 4.5, 2.5, 1.5, 0.5]
    assert [reason for _, _, reason, _ in quarantine(world)] == [
        *["marketCapUsd is not above zero"] * 3,
        "time is in seconds, not milliseconds",
    ]


def test_u4_of_a_missed_day_the_wrong_moment_nearest_20_00_gives_way_to_the_next(world: World) -> None:
    missed = SLOT - DAY
    world.upstream.give_market_cap_history(
        "bitcoin", [(missed, "NaN"), (missed + HOUR, "1.5"), (missed - 3 * HOUR, "9")]
    )
    assert world.snapshot(missed, BTC).counts["written"] == 1
    assert caps(world) == [("BTC", "2025-06-09", "1.5", "vendor-history")]
    assert quarantine(world)[0] == ("BTC", "cap", "marketCapUsd is not a finite decimal number", 2)


def test_u4_hours_that_a_market_cap_was_to_be_derived_from_are_quarantined_as_hours(world: World) -> None:
    missed = SLOT - DAY
    world.upstream.give_history(
        "bitcoin", "h1", [point(missed, "-2.5", supply="4"), point(missed - HOUR, "2.5", supply="4")]
    )
    assert world.snapshot(missed, BTC).counts["written"] == 1
    assert caps(world) == [("BTC", "2025-06-09", "10.0", "derived")]
    assert quarantine(world) == [("BTC", "1h", "priceUsd is not above zero", 1)]


def test_a_page_of_wrong_items_is_kept_to_a_hundred(world: World) -> None:
    hours = [(SLOT - DAY - n * HOUR, f"-{n + 1}") for n in range(MANY)]
    world.upstream.give_market_cap("bitcoin", "0.5")
    world.upstream.give_market_cap_history("bitcoin", hours)
    assert world.snapshot(SLOT, BTC).counts["rejected"] == MANY
    assert world.sql("select count(*) from pricing.quarantine") == [(100,)]
