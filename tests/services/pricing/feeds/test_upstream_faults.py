"""U1 to U6: whatever CoinCap does, what is stored stays right, and what is missing comes when it can."""

import logging
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import httpx
import pytest

from services.pricing.feeds.coincap import CoinCap
from services.pricing.feeds.schemas import Feed
from services.pricing.feeds.service import Feeds
from services.pricing.feeds.source import Source
from tests.services.pricing.conftest import DAY, HOUR, Service
from tests.services.pricing.feeds.conftest import ETH, NOTHING, NOW, World
from tests.standins.coincap import StandinCoinCap, point

BTC = Feed("BTC", "bitcoin", ("1h",))
MINUTE = timedelta(minutes=1)
HOURS = "/assets/bitcoin/history"


def few(upstream: StandinCoinCap, count: int = 10, price: str = "100.50") -> list[dict[str, Any]]:
    """The last hours up to the one still forming, given to the stand-in."""
    rows = [point(NOW.replace(minute=0) - n * HOUR, price) for n in range(count)][::-1]
    upstream.give_history("bitcoin", "h1", rows)
    return rows


def quarantine(world: World) -> list[tuple[str, int]]:
    """Why, and how often."""
    return [(reason, times) for reason, times in world.sql("select reason, times from pricing.quarantine order by 1")]


@pytest.mark.parametrize(
    "kind", ["rate-limited", "server-error", "bad-gateway", "html", "truncated", "empty-body", "reset"]
)
def test_u1_a_run_is_partial_keeps_the_good_rows_and_is_completed_later(world: World, kind: str) -> None:
    world.sync(BTC)
    world.clock.at = NOW + DAY
    rows = len(world.stored())
    world.upstream.fail_next(kind, times=5, path="bitcoin")
    calls = world.calls()
    outcome = world.sync(BTC, ETH)
    assert (outcome.partial, world.calls() - calls) == (True, 5)
    assert "cannot answer now" in str(outcome.note)
    assert len(world.stored()) == rows

    world.clock.at += 2 * MINUTE  # the breaker has let go
    outcome = world.sync(BTC, ETH, slot=NOW + DAY)
    assert (outcome.partial, outcome.counts["failed"], len(world.stored())) == (False, 0, rows + 24)


def test_u1_the_windows_before_a_fault_are_kept(world: World) -> None:
    told: list[int] = []

    def break_after_one(_step: str, done: int = 0, _total: int = 0, /) -> None:
        told.append(done)
        if done == 1:
            world.upstream.fail_next("server-error", times=5)

    outcome = world.sync(BTC, progress=break_after_one)
    assert (outcome.partial, len(world.stored())) == (True, 720)
    world.clock.at += 2 * MINUTE
    world.upstream.queries.clear()
    assert not world.sync(BTC).partial
    assert len(world.stored()) == 1000
    assert len(world.upstream.queries) == 1 + 2  # what is new, and the two windows that were missing


@pytest.mark.parametrize(
    ("url", "detail"),
    [
        ("http://127.0.0.1:9/v3", "ConnectError"),
        ("http://coincap.invalid/v3", "ConnectError"),
        ("https://127.0.0.1:{port}/v3", "ConnectError"),
    ],
    ids=["refused", "dns", "tls"],
)
def test_u1_refused_dns_and_tls_are_a_partial_run(
    world: World, feeds_of: Callable[[Source], Feeds], url: str, detail: str
) -> None:
    port = httpx.URL(world.upstream.url).port
    with CoinCap(url.format(port=port), "key", sleep=lambda _: None) as coincap:
        outcome = feeds_of(coincap).sync_prices([BTC])
    assert outcome.partial
    assert detail in str(outcome.note)
    assert world.stored() == []


@pytest.mark.parametrize("kind", ["slow", "dribbled-head", "silent"])
def test_u1_bytes_that_never_end_or_never_come_are_a_partial_run(
    world: World, feeds_of: Callable[[Source], Feeds], upstream: StandinCoinCap, kind: str
) -> None:
    upstream.fail_next(kind, times=5)
    with CoinCap(upstream.url, upstream.key, now=lambda: NOW, sleep=lambda _: None, total=0.1) as coincap:
        outcome = feeds_of(coincap).sync_prices([BTC])
    assert outcome.partial
    assert "not complete within 0.1 s" in str(outcome.note)
    assert world.stored() == []


def test_u1_a_run_ends_after_ten_minutes_and_the_next_goes_on(
    world: World, feeds_of: Callable[[Source], Feeds], upstream: StandinCoinCap
) -> None:
    elapsed = [0.0]

    def progress(_step: str, done: int = 0, _total: int = 0, /) -> None:
        elapsed[0] += 301

    with CoinCap(upstream.url, upstream.key, now=lambda: NOW, timer=lambda: elapsed[0]) as coincap:
        feeds = feeds_of(coincap)
        feeds._progress = progress
        outcome = feeds.sync_prices([BTC])
    assert (outcome.partial, len(world.stored())) == (True, 1000)
    assert "taken the ten minutes" in str(outcome.note)
    assert upstream.calls[HOURS] == 2


@pytest.mark.parametrize(
    ("kind", "told"),
    [
        ("unauthorized", "refused the API key; check TICKGATE_COINCAP_API_KEY"),
        ("forbidden", "refused the API key"),
        ("credits", "credits for this month are used up; the key itself is good"),
        ("retired", "set TICKGATE_COINCAP_URL"),
    ],
)
def test_u2_a_refusal_is_not_tried_again_and_says_clearly_what_it_is(
    world: World, caplog: pytest.LogCaptureFixture, kind: str, told: str
) -> None:
    caplog.set_level(logging.DEBUG)
    world.upstream.fail_next(kind)
    outcome = world.sync(BTC, ETH)
    assert (outcome.partial, world.calls()) == (True, 1)  # the other series is not asked either
    assert told in str(outcome.note)
    assert world.upstream.key not in caplog.text + str(outcome)
    assert world.slept == []


@pytest.mark.parametrize(
    "text", ['{"data":null}', '{"data":{"a":1}}', "[]", '{"error":"x"}', '{"data":["drift","drift"]}']
)
def test_u3_a_drifted_answer_goes_to_quarantine_and_changes_no_price(world: World, text: str) -> None:
    few(world.upstream)
    world.sync(BTC)
    before, asked = world.stored(), world.sql("select asked_until from pricing.feed_positions")
    world.clock.at = NOW + HOUR
    world.upstream.fail_next("body", text=text)
    outcome = world.sync(BTC)
    assert (outcome.partial, outcome.counts["failed"]) == (True, 1)
    assert "in quarantine, and no price has changed" in str(outcome.note)
    assert world.stored() == before
    assert world.sql("select asked_until from pricing.feed_positions") == asked
    assert [times for _, times in quarantine(world)] == [1]


def test_u3_an_empty_answer_changes_nothing(world: World) -> None:
    few(world.upstream)
    world.sync(BTC)
    before = world.stored()
    world.clock.at = NOW + HOUR
    world.upstream.fail_next("body", text='{"data":[],"timestamp":1}')
    assert not world.sync(BTC).partial
    assert (world.stored(), quarantine(world)) == (before, [])


def test_u3_an_oversize_answer_is_cut_off_at_five_megabytes_and_not_asked_for_again(world: World) -> None:
    few(world.upstream)
    world.upstream.fail_next("oversize")
    outcome = world.sync(BTC, slot=NOW)
    assert (outcome.partial, world.calls(), world.stored()) == (True, 1, [])
    assert "more than 5000000 bytes" in str(outcome.note)
    assert 2000 <= world.credits() < 2100  # five megabytes are paid for
    world.sync(BTC, slot=NOW)
    assert world.calls() == 1


@pytest.mark.parametrize(
    ("kind", "reason"),
    [
        ("nan", "priceUsd is not a finite decimal number"),
        ("negative", "priceUsd is not above zero"),
        ("zero", "priceUsd is not above zero"),
        ("null", "priceUsd is missing"),
        ("41-digits", "priceUsd has more than 40 significant digits"),
        ("seconds", "time is in seconds, not milliseconds"),
        ("far-future", "time is in the future"),
    ],
)
def test_u4_an_item_that_cannot_be_trusted_is_quarantined_and_looked_at_once_more(
    world: World, kind: str, reason: str
) -> None:
    few(world.upstream)
    world.upstream.fail_next(kind, at=4)
    outcome = world.sync(BTC)
    assert (outcome.partial, outcome.counts["inserted"], outcome.counts["rejected"]) == (False, 9, 1)
    assert quarantine(world) == [(reason, 1)]
    world.clock.at += 10 * MINUTE
    assert world.sync(BTC).counts["inserted"] == 1  # it was a passing fault
    assert len(world.stored()) == 10


def test_u4_an_item_that_stays_wrong_is_a_gap_and_history_goes_on(world: World) -> None:
    rows = few(world.upstream)
    world.upstream.give_history("bitcoin", "h1", [*rows[:4], {**rows[4], "priceUsd": "-1"}, *rows[5:]])
    for _ in range(3):
        world.sync(BTC)
        world.clock.at += 10 * MINUTE
    assert quarantine(world) == [("priceUsd is not above zero", 2)]
    assert len(world.stored()) == 9
    ((asked_from,),) = world.sql("select asked_from from pricing.feed_positions")
    assert asked_from <= NOW - 89 * DAY


@pytest.mark.parametrize("kind", ["duplicate", "unsorted", "exponent", "40-digits"])
def test_u4_what_is_only_unusual_is_stored_exactly(world: World, kind: str) -> None:
    few(world.upstream, price="1234567890123456789012.5")
    world.upstream.fail_next(kind)
    assert world.sync(BTC).counts == {**NOTHING, "series": 1, "inserted": 10}
    unusual = "1234567890123456789012.345678901234567890" if kind == "40-digits" else "1234567890123456789012.5"
    assert {price for _, price, _ in world.stored()[:1]} == {unusual}
    assert quarantine(world) == []


@pytest.mark.parametrize("factor", ["1005.0", "10.05"])
def test_u4_a_jump_of_ten_times_is_not_served_until_it_was_seen_twice(world: World, factor: str) -> None:
    few(world.upstream)
    world.sync(BTC)
    world.clock.at = NOW + HOUR
    rows = few(world.upstream)
    world.upstream.give_history("bitcoin", "h1", [*rows, point(world.clock.at.replace(minute=0), factor)])
    outcome = world.sync(BTC)
    assert (outcome.counts["suspect"], outcome.counts["inserted"]) == (1, 0)
    assert world.stored()[-1][1] == "100.50"
    assert world.sql("select price_usd::text, looks from pricing.suspect_prices") == [(factor, 1)]

    world.clock.at += 10 * MINUTE
    outcome = world.sync(BTC)
    assert (outcome.counts["suspect"], outcome.counts["inserted"]) == (0, 1)
    assert world.stored()[-1][1] == factor
    assert world.sql("select 1 from pricing.suspect_prices") == []


def test_u4_a_jump_that_comes_again_within_minutes_was_seen_once(world: World) -> None:
    few(world.upstream)
    world.sync(BTC)
    world.clock.at = NOW + HOUR
    rows = few(world.upstream)
    world.upstream.give_history("bitcoin", "h1", [*rows, point(world.clock.at.replace(minute=0), "9999999.5")])
    for _ in range(3):
        assert world.sync(BTC).counts["suspect"] == 1
        world.clock.at += MINUTE
    assert world.stored()[-1][1] == "100.50"


def test_u4_a_jump_that_was_a_mistake_is_never_served(world: World) -> None:
    few(world.upstream)
    world.sync(BTC)
    world.clock.at = NOW + HOUR
    rows = few(world.upstream)
    at = world.clock.at.replace(minute=0)
    world.upstream.give_history("bitcoin", "h1", [*rows, point(at, "9999999.5")])
    world.sync(BTC)
    world.upstream.give_history("bitcoin", "h1", [*rows, point(at, "101.50")])
    world.clock.at += 10 * MINUTE
    world.sync(BTC)
    assert world.stored()[-1][1] == "101.50"
    assert world.sql("select 1 from pricing.price_revisions where price_usd > 1000") == []
    assert world.sql("select 1 from pricing.suspect_prices") == []


def test_u4_an_absurd_revision_of_a_stored_price_does_not_take_its_place_at_once(world: World) -> None:
    few(world.upstream)
    world.sync(BTC)
    world.clock.at = NOW + HOUR
    few(world.upstream, price="0.05")
    outcome = world.sync(BTC)
    assert (outcome.counts["revised"], outcome.counts["suspect"]) == (0, 2)
    assert {price for _, price, _ in world.stored()} == {"100.50"}


def test_u5_five_failures_open_the_breaker_for_a_minute_then_one_probe_closes_it(world: World) -> None:
    world.upstream.fail_next("server-error", times=6)
    world.sync(BTC)
    assert world.calls() == 5
    for seconds in (0, 30, 59):  # every run is a process of its own: the breaker survives them
        world.clock.at = NOW + timedelta(seconds=seconds)
        outcome = world.sync(BTC)
        assert (outcome.partial, world.calls()) == (True, 5)
        assert "failed five times in a row" in str(outcome.note)

    world.clock.at = NOW + timedelta(seconds=60)
    world.sync(BTC)
    assert world.calls() == 6  # the one probe, which failed
    world.clock.at = NOW + timedelta(seconds=119)
    world.sync(BTC)
    assert world.calls() == 6
    world.clock.at = NOW + timedelta(seconds=120)
    assert not world.sync(BTC).partial
    assert world.calls() > 7
    assert world.sql("select failures, open_until from pricing.upstreams") == [(0, None)]


def test_u5_while_one_probes_the_others_wait(world: World) -> None:
    world.upstream.fail_next("server-error", times=5)
    world.sync(BTC)
    world.clock.at = NOW + 2 * MINUTE
    outcomes: list[Any] = []
    with world.metered() as (_, ledger):
        ledger.enter(1)  # a probe that has not ended
        outcomes.append(world.sync(BTC))
        ledger.leave(expected=1, size=1, failed=False)
    outcomes.append(world.sync(BTC))
    assert [outcome.partial for outcome in outcomes] == [True, False]


def test_u5_without_the_breaker_every_run_would_knock(world: World, feeds_of: Callable[[Source], Feeds]) -> None:
    """The negative control of the two above."""
    world.upstream.fail_next("server-error", times=100)
    for _ in range(2):
        with CoinCap(world.upstream.url, world.upstream.key, sleep=lambda _: None) as unguarded:
            feeds_of(unguarded).sync_prices([BTC])
    assert world.calls() == 10


def test_u6_while_coincap_is_away_for_48_hours_reads_go_on_and_updated_at_is_true(
    world: World, service: Service
) -> None:
    world.sync(BTC)
    path = "/v1/datasets/BTC/prices?frequency=1h&limit=10000"
    before = service.get(path).json()["data"]
    world.upstream.fail_next("reset", times=1000)
    for hour in range(1, 49):
        world.clock.at = NOW + hour * HOUR
        assert world.sync(BTC, slot=world.clock.at).partial
        if hour % 16 == 0:
            answer = service.get(path)
            assert (answer.status_code, answer.json()["data"]) == (200, before)
    (covered, *_) = service.get("/v1/datasets/BTC/coverage", role="anonymous").json()["data"]
    assert covered["updated_at"] == NOW.isoformat().replace("+00:00", "Z")

    world.upstream._faults.clear()
    world.clock.at += HOUR
    assert world.sync(BTC).counts["inserted"] == 49
    (covered, *_) = service.get("/v1/datasets/BTC/coverage", role="anonymous").json()["data"]
    assert (covered["gaps"], covered["rows"]) == ([], 1049)
    assert covered["updated_at"] == world.clock.at.isoformat().replace("+00:00", "Z")
