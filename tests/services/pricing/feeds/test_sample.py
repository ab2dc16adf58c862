"""The bundled sample: one price for one slug and hour, whoever asks, whenever, through whatever window."""

import decimal
import itertools
import os
import subprocess
import sys
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from time import perf_counter

import pytest

from services.pricing.feeds.sample import SampleSource
from services.pricing.feeds.source import Source

HOUR = timedelta(hours=1)
DAY = timedelta(days=1)
NOW = datetime(2026, 5, 5, 12, 30, tzinfo=UTC)
SOURCE: Source = SampleSource(now=lambda: NOW)


def texts(slug: str, frequency: str, *, start: datetime, end: datetime) -> list[str]:
    return [str(sample.price) for sample in SOURCE.history(slug, frequency, start=start, end=end).samples]


def test_prices_are_these_for_ever() -> None:
    start = datetime(2026, 1, 1, tzinfo=UTC)
    assert texts("bitcoin", "1h", start=start, end=start + 3 * HOUR) == GOLDEN["bitcoin"]
    assert texts("ethereum", "1d", start=start, end=start + 3 * DAY) == GOLDEN["ethereum"]
    assert texts("pepe", "1d", start=start, end=start + 3 * DAY) == GOLDEN["pepe"]


GOLDEN: dict[str, list[str]] = {
    "bitcoin": ["40828.23769016", "40771.01468327", "40717.36722935"],
    "ethereum": ["2767.25159892", "2789.07804814", "2839.24051546"],
    "pepe": ["0.08933971", "0.08813242", "0.08756363"],
}


def test_another_process_with_another_hash_seed_agrees() -> None:
    program = (
        "from datetime import UTC, datetime, timedelta as t; from services.pricing.feeds.sample import SampleSource;"
        "n = datetime(2026, 5, 5, 12, 30, tzinfo=UTC); s = SampleSource(now=lambda: n);"
        "print([str(x.price) for x in s.history('bitcoin', '1h', start=n - t(days=2), end=n).samples])"
    )
    told = subprocess.run(
        [sys.executable, "-c", program], env={**os.environ, "PYTHONHASHSEED": "7"}, capture_output=True, check=True
    )
    assert told.stdout.decode().strip() == str(texts("bitcoin", "1h", start=NOW - 2 * DAY, end=NOW))


def test_the_decimal_context_does_not_matter() -> None:
    with decimal.localcontext(decimal.Context(prec=3)):
        narrow = SOURCE.market_caps(["bitcoin"]), SOURCE.history("bitcoin", "1h", start=NOW - DAY, end=NOW)
    assert narrow == (SOURCE.market_caps(["bitcoin"]), SOURCE.history("bitcoin", "1h", start=NOW - DAY, end=NOW))


@pytest.mark.parametrize(("frequency", "step"), [("1h", HOUR), ("1d", DAY)])
def test_chunks_of_any_size_make_the_same_whole(frequency: str, step: timedelta) -> None:
    start = NOW - 40 * step
    whole = SOURCE.history("bitcoin", frequency, start=start, end=NOW).samples
    for size in (1, 7, 13):
        bounds = [start + n * step for n in range(0, 40, size)] + [NOW]
        pairs = itertools.pairwise(bounds)
        parts = [SOURCE.history("bitcoin", frequency, start=first, end=last).samples for first, last in pairs]
        assert [sample for part in parts for sample in part] == whole


def test_it_lies_on_the_grid_half_open_in_utc() -> None:
    plus_two = timezone(timedelta(hours=2))
    start = datetime(2026, 5, 1, 2, 0, tzinfo=plus_two)
    history = SOURCE.history("bitcoin", "1h", start=start, end=start + 3 * HOUR)
    assert [sample.timestamp for sample in history.samples] == [datetime(2026, 5, 1, n, tzinfo=UTC) for n in range(3)]
    assert {sample.timestamp.tzinfo for sample in history.samples} == {UTC}
    assert texts("bitcoin", "1h", start=start, end=start) == []
    assert len(texts("bitcoin", "1h", start=start + timedelta(minutes=1), end=start + HOUR)) == 0


@pytest.mark.parametrize("now", [NOW, datetime(2026, 5, 5, tzinfo=UTC), datetime(2026, 5, 5, 23, 59, 59, tzinfo=UTC)])
def test_nothing_comes_from_the_future(now: datetime) -> None:
    source = SampleSource(now=lambda: now)
    hours = source.history("bitcoin", "1h", start=now - DAY, end=now + 10 * DAY).samples
    days = source.history("bitcoin", "1d", start=now - 9 * DAY, end=now + 10 * DAY).samples
    assert hours[-1].timestamp == now.replace(minute=0, second=0)
    assert days[-1].timestamp == datetime(2026, 5, 4, tzinfo=UTC)
    later, soon = (source.market_cap_history("bitcoin", start=now, end=now + n * DAY).caps for n in (9, 0.0001))
    assert later[:1] == soon


def test_a_day_is_its_last_hour() -> None:
    day = datetime(2026, 5, 1, tzinfo=UTC)
    assert texts("ethereum", "1d", start=day, end=day + DAY) == texts(
        "ethereum", "1h", start=day + 23 * HOUR, end=day + DAY
    )


def test_it_looks_like_a_market() -> None:
    for slug, low, high in [("bitcoin", 10_000, 100_000), ("ethereum", 1_000, 10_000)]:
        samples = SOURCE.history(slug, "1h", start=NOW - SOURCE.depth("1h"), end=NOW).samples
        prices = [sample.price for sample in samples]
        assert len(prices) == 4320
        assert low < min(prices) < max(prices) < high
        moves = [abs(after / before - 1) for before, after in itertools.pairwise(prices)]
        assert Decimal("0.0005") < sum(moves) / len(moves) < Decimal("0.01")
        assert max(moves) < Decimal("0.05")


@pytest.mark.parametrize("slug", ["pepe", "dogecoin", "x", "ü", ""])
def test_any_slug_has_a_positive_price_with_eight_decimals(slug: str) -> None:
    prices = SOURCE.history(slug, "1d", start=NOW - SOURCE.depth("1d"), end=NOW).samples
    assert len(prices) == 1094
    assert all(sample.price > 0 and sample.price.as_tuple().exponent == -8 for sample in prices)


def test_market_caps_are_price_times_supply() -> None:
    (running,) = SOURCE.history("bitcoin", "1h", start=NOW - HOUR / 2, end=NOW).samples
    (cap,) = SOURCE.market_caps(["bitcoin", "bitcoin"]).caps
    assert running.supply == Decimal(19_900_000)
    assert (cap.slug, cap.market_cap, cap.observed_at) == ("bitcoin", running.price * running.supply, NOW)


def test_market_cap_history_is_of_twenty_hundred_until_now() -> None:
    caps = SOURCE.market_cap_history("bitcoin", start=NOW - 3 * DAY, end=NOW + 3 * DAY).caps
    assert [cap.observed_at for cap in caps] == [datetime(2026, 5, n, 20, tzinfo=UTC) for n in (2, 3, 4)]
    at = caps[0].observed_at
    (price,) = SOURCE.history("bitcoin", "1h", start=at, end=at + HOUR).samples
    assert caps[0].market_cap == price.price * 19_900_000
    assert SOURCE.market_cap_history("bitcoin", start=at, end=at + DAY).caps == caps[:1]


def test_a_first_load_takes_no_time() -> None:
    before = perf_counter()
    SOURCE.history("fresh", "1h", start=NOW - SOURCE.depth("1h"), end=NOW)
    for slug in ("fresh", "fresher"):
        SOURCE.history(slug, "1d", start=NOW - SOURCE.depth("1d"), end=NOW)
    assert perf_counter() - before < 2  # about 0.15 on an idle core


def test_refusals() -> None:
    with pytest.raises(ValueError, match="1mo"):
        SOURCE.history("bitcoin", "1mo", start=NOW, end=NOW)
    with pytest.raises(ValueError, match="at most"):
        SOURCE.history("bitcoin", "1h", start=NOW - SOURCE.span("1h") - HOUR, end=NOW)
