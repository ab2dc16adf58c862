"""CoinCap v3 as a price source: its paths, its intervals, its windows."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from types import TracebackType
from typing import Self
from urllib.parse import quote

from services.pricing.feeds import wire
from services.pricing.feeds.budget import ASSET_BYTES, POINT_BYTES, cost
from services.pricing.feeds.connection import TOTAL_SECONDS, Connection, Gate, Open
from services.pricing.feeds.entities import Caps, History
from services.pricing.feeds.errors import UnknownAsset
from services.pricing.feeds.source import period, require_few, require_window


@dataclass(frozen=True)
class Interval:
    """CoinCap's word for a frequency, how much of it one call gives, and how far back a first load goes."""

    word: str
    span: timedelta
    depth: timedelta


# There is no month at CoinCap: its `m1` is one minute.
INTERVALS = {
    "1h": Interval("h1", timedelta(days=30), timedelta(days=3650)),
    "1d": Interval("d1", timedelta(days=365), timedelta(days=3650)),
}


class CoinCap:
    """The `Source` that is CoinCap v3; for one thread, closed by `close` or as a context manager.

    `gate` is asked before every call and told after it. `now`, `sleep`, `timer` (monotonic seconds) and `total`, the
    seconds that a try may take, are arguments so that tests need not wait.
    """

    name = "coincap"
    at_once = 100

    def __init__(
        self,
        url: str,
        key: str,
        *,
        gate: Gate | None = None,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        sleep: Callable[[float], None] = time.sleep,
        timer: Callable[[], float] = time.monotonic,
        total: float = TOTAL_SECONDS,
    ) -> None:
        self._now = now
        self._connection = Connection(url, key, gate=gate or Open(), now=now, sleep=sleep, timer=timer, total=total)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Give the connections back."""
        self._connection.close()

    def span(self, frequency: str) -> timedelta:
        """30 days of 1h, 365 of 1d: CoinCap may refuse more."""
        return _interval(frequency).span

    def depth(self, frequency: str) -> timedelta:
        """Ten years."""
        return _interval(frequency).depth

    def history(self, slug: str, frequency: str, *, start: datetime, end: datetime) -> History:
        """The samples in [start, end), with the bucket still forming; an unknown slug is `UnknownAsset` or empty."""
        require_window(self, frequency, start=start, end=end)
        if start >= end:
            return History([], [])
        page = self._page(period(frequency), start=start, end=end)
        asked = {"interval": _interval(frequency).word, **_window(page)}
        expected = cost(POINT_BYTES * (1 + (end - start) // period(frequency)))
        answer = self._connection.get(f"/assets/{quote(slug, safe='')}/history", asked, expected=expected)
        return wire.history(answer, page)

    def market_caps(self, slugs: Sequence[str]) -> Caps:
        """One snapshot, `observed_at` being when the answer came; null and unknown ones are left out."""
        require_few(self, slugs)
        if not slugs:
            return Caps([], [])
        expected = cost(ASSET_BYTES * len(slugs))
        try:
            answer = self._connection.get("/assets", {"ids": ",".join(slugs)}, expected=expected)
        except UnknownAsset:
            return Caps([], [])
        return wire.market_caps(answer, wanted=slugs, observed_at=self._now())

    def market_cap_history(self, slug: str, *, start: datetime, end: datetime) -> Caps:
        """CoinCap's own market capitalisations in [start, end), at whatever moments it keeps."""
        if start >= end:
            return Caps([], [])
        page = self._page(wire.MILLISECOND, start=start, end=end)
        expected = cost(POINT_BYTES * (1 + (end - start) // period("1d")))
        path = f"/assets/{quote(slug, safe='')}/marketcap-history"
        answer = self._connection.get(path, _window(page), expected=expected)
        return wire.market_cap_history(slug, answer, page)

    def _page(self, grid: timedelta, *, start: datetime, end: datetime) -> wire.Page:
        return wire.Page(
            start=wire.milliseconds(start),
            end=wire.milliseconds(end),
            period=grid // wire.MILLISECOND,
            latest=wire.milliseconds(self._now() + grid),
        )


def _interval(frequency: str) -> Interval:
    if frequency not in INTERVALS:
        raise ValueError(f"CoinCap does not sample the frequency {frequency!r}")
    return INTERVALS[frequency]


def _window(page: wire.Page) -> dict[str, str]:
    """CoinCap counts `end` in, we do not."""
    return {"start": str(page.start), "end": str(page.end - 1)}
