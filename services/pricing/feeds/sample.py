"""The bundled sample: generated prices that look like a market, the same on every machine and for ever."""

import math
import sys
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import lru_cache
from hashlib import blake2b

from services.pricing.feeds.entities import Caps, History, MarketCap, Sample
from services.pricing.feeds.source import period, require_window

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
HOUR = timedelta(hours=1)
DAY = timedelta(days=1)
SNAPSHOT = timedelta(hours=20)
DEPTHS = {"1h": timedelta(days=180), "1d": timedelta(days=1095)}

UNITS = 10**8
"""Prices are counted in hundred-millionths of a dollar: integers, so that no platform's floats show."""
ONE = 10**12
LEVELS = {"bitcoin": 45_000 * UNITS, "ethereum": 2_500 * UNITS}
SUPPLIES = {"bitcoin": 19_900_000, "ethereum": 120_700_000}
# Waves of 1, 2, 4 ... 16,384 hours; a wave's height grows with the root of its length, as a random walk's does.
WAVES = [(2**octave, math.isqrt(2**octave * (ONE // 500) ** 2)) for octave in range(15)]


class SampleSource:
    """The `Source` named `sample`: any slug has a price, which is a pure function of the slug and the time."""

    name = "sample"
    at_once = sys.maxsize

    def __init__(self, *, now: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        self._now = now

    def span(self, frequency: str) -> timedelta:
        """All there is, in one call."""
        return self.depth(frequency)

    def depth(self, frequency: str) -> timedelta:
        """180 days of 1h, three years of 1d."""
        if frequency not in DEPTHS:
            raise ValueError(f"the sample has no frequency {frequency!r}")
        return DEPTHS[frequency]

    def history(self, slug: str, frequency: str, *, start: datetime, end: datetime) -> History:
        """The samples in [start, end): 1h up to the bucket still forming, 1d up to yesterday, as upstream."""
        require_window(self, frequency, start=start, end=end)
        step, supply = period(frequency), Decimal(_supply(slug))
        # A day is over once its end has come; an hour counts from its first moment.
        last = self._now() - (DAY if frequency == "1d" else timedelta())
        within = step - HOUR
        return History(
            [
                Sample(at, _dollars(_price(slug, at + within)), supply)
                for at in _grid(step, start=start, end=end)
                if at <= last
            ],
            [],
        )

    def market_caps(self, slugs: Sequence[str]) -> Caps:
        """The price of the running hour times the supply, for every slug."""
        now = self._now().astimezone(UTC)
        return Caps([_market_cap(slug, now) for slug in dict.fromkeys(slugs)], [])

    def market_cap_history(self, slug: str, *, start: datetime, end: datetime) -> Caps:
        """One market capitalisation a day, of 20:00 UTC, until now."""
        moments, now = (day + SNAPSHOT for day in _grid(DAY, start=start - SNAPSHOT, end=end - SNAPSHOT)), self._now()
        return Caps([_market_cap(slug, at) for at in moments if at <= now], [])


def _grid(step: timedelta, *, start: datetime, end: datetime) -> Iterator[datetime]:
    """The UTC grid's moments in [start, end)."""
    at = EPOCH - ((EPOCH - start) // step) * step
    while at < end:
        yield at
        at += step


def _market_cap(slug: str, at: datetime) -> MarketCap:
    return MarketCap(slug, _dollars(_price(slug, at) * _supply(slug)), at)


def _price(slug: str, at: datetime) -> int:
    """The price of the hour that holds `at`: the level, moved up or down by every wave, never to zero."""
    hour = (at - EPOCH) // HOUR
    moved = sum(_wave(slug, hour, length=length, height=height) for length, height in WAVES)
    level = _level(slug)
    return level * (ONE + moved) // ONE if moved >= 0 else level * ONE // (ONE - moved)


def _wave(slug: str, hour: int, *, length: int, height: int) -> int:
    """A straight line between two hashed points, in parts of `ONE`."""
    point, way = divmod(hour, length)
    left, right = _hashed(slug, length, point), _hashed(slug, length, point + 1)
    return (left * (length - way) + right * way) * height // (length << 31)


@lru_cache(maxsize=65_536)
def _hashed(slug: str, length: int, point: int) -> int:
    """A number in [-2^31, 2^31) that only these three decide."""
    return _digest(f"{slug}/{length}/{point}") - 2**31


def _level(slug: str) -> int:
    """Around which the price moves: between a tenth of a cent and 9,000 dollars for a slug not named above."""
    drawn = _digest(f"{slug}/level")
    return LEVELS.get(slug) or (1 + drawn % 9) * 10 ** (5 + drawn // 9 % 7)


def _supply(slug: str) -> int:
    drawn = _digest(f"{slug}/supply")
    return SUPPLIES.get(slug) or (1 + drawn % 999) * 10**6


def _digest(text: str) -> int:
    return int.from_bytes(blake2b(text.encode(), digest_size=4).digest(), "big")


def _dollars(units: int) -> Decimal:
    return Decimal(f"{units // UNITS}.{units % UNITS:08d}")
