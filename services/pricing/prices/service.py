"""What can be done with prices: load, read, tell what is covered."""

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy.orm import Session

from services.pricing.prices import policy
from services.pricing.prices.errors import SeriesHasOtherSource, VersionGone
from services.pricing.prices.repository import PriceRepository
from services.pricing.prices.schemas import Chunk, Counts, Coverage, Edition, Extent, Gap, Known, Sample, Text, Window
from shared.clock import Clock
from shared.errors import invalid

NOTHING: Counts = {"inserted": 0, "revised": 0, "unchanged": 0}
NEVER_STORED: Mapping[str, Any] = {"version": 0, "first_version": 0, "replaced_at": None}
NOTHING_KNOWN = Known({}, None, None)


class PriceService:
    """The use cases of prices, in the caller's transaction."""

    def __init__(self, session: Session, clock: Clock) -> None:
        self._session = session
        self._clock = clock
        self._prices = PriceRepository(session)

    def load(
        self,
        dataset: str,
        frequency: str,
        source: str,
        samples: Sequence[Sample],
        *,
        seen_at: datetime | None = None,
        replace: bool = False,
    ) -> Counts:
        """Store samples with unique timestamps and count them as `inserted`, `revised` and `unchanged`.

        `seen_at` is when the source was asked (now, unless said): it decides what is final, and older news never
        overwrites newer. The sample gives way to any other source, `replace` makes any series give way; otherwise
        raises SeriesHasOtherSource. An empty batch changes nothing.
        """
        if not samples:
            return NOTHING
        self._prices.allow_long_work()
        now = self._clock.now(self._session)
        held = self._prices.lock_series(dataset, frequency, source=source, now=now)
        step = _admit(dataset, frequency, stored=held.source, offered=source, replace=replace)
        anew = step == "replace" and held.version > 0  # a series of which nothing was ever stored only begins
        if anew:
            self._prices.clear(dataset, frequency)
        version = held.version + 1
        counts = dict(self._prices.merge(dataset, frequency, samples, seen_at=seen_at or now, version=version))
        closed = counts.pop("closed")  # the same price, but final from now on: readers see that too
        if anew or closed or counts["unchanged"] < len(samples):
            self._prices.change_series(dataset, frequency, source=source, now=now, version=version, anew=anew)
        return counts

    def extent(self, dataset: str, frequency: str, source: str) -> Extent | None:
        """What this source brought of the series, if anything; raises SeriesHasOtherSource like `load`."""
        series = self._prices.find_series(dataset, frequency)
        stored = series.source if series else None
        if _admit(dataset, frequency, stored=stored, offered=source) == "replace":
            return None
        first = self._prices.first(dataset, frequency)
        return Extent(first, self._prices.last_final(dataset, frequency) or first) if first else None

    def known(self, dataset: str, frequency: str, source: str, *, start: datetime, end: datetime) -> Known:
        """What this source brought in and around [start, end)."""
        series = self._prices.find_series(dataset, frequency)
        if series is None or series.source != source:
            return NOTHING_KNOWN
        return self._prices.known(dataset, frequency, start=start, end=end)

    def edition(self, window: Window) -> Edition:
        """The version that a window is of, the present one unless it says another; raises what reading it would."""
        series = self._prices.find_series(window.dataset, window.frequency)
        if window.as_of is not None or window.edition is not None:
            known = {**(series.model_dump() if series else NEVER_STORED), "now": self._clock.now(self._session)}
            require_told(known, as_of=window.as_of, edition=window.edition, settled=policy.SETTLED)
        return window.edition or (Edition(series.version, series.updated_at) if series else Edition(0, None))

    def read(self, window: Window, *, format_: Text, limit: int) -> Chunk:
        """The first `limit` bars of a window, rendered; raises VersionGone, InvalidInput for too late an instant."""
        found = self._prices.read(_whole_months(window), format_=format_, limit=limit)
        require_told(found, as_of=window.as_of, edition=window.edition, settled=policy.SETTLED)
        return Chunk(
            body=found["body"],
            rows=found["rows"],
            last=found["last"],
            more=found["more"],
            source=found["source"],
            edition=window.edition or Edition(found["version"], found["updated_at"]),
        )

    def coverage(self, dataset: str, frequencies: Iterable[str]) -> list[Coverage]:
        """What is stored of each frequency, and what is missing."""
        return [self._covered(dataset, frequency) for frequency in frequencies]

    def _covered(self, dataset: str, frequency: str) -> Coverage:
        series = self._prices.find_series(dataset, frequency)
        found = self._prices.coverage(dataset, frequency)
        first, last = found["first"], found["last"]
        holes = zip(found["starts"] or (), found["ends"] or (), strict=True)
        gaps = [Gap(start=a, end=b, missing=policy.bars_between(frequency, a, b)) for a, b in holes]
        between = 1 + policy.bars_between(frequency, first, last) if first else 0
        return Coverage(
            frequency=frequency,
            first=first,
            last=last,
            rows=between - sum(gap.missing for gap in gaps),
            gaps=gaps,
            updated_at=series.updated_at if series else None,
            source=series.source if series else None,
        )


def require_told(
    series: Mapping[str, Any], *, as_of: datetime | None, edition: Edition | None, settled: timedelta
) -> None:
    """Raises InvalidInput for an instant of which more may yet become known, and VersionGone for what was replaced.

    `settled` after an instant, all that is told to be known then is stored.
    """
    if as_of is not None and as_of > series["now"] - settled:
        minutes = settled // timedelta(minutes=1)
        raise invalid("query", "/as_of", f"an instant {f'{minutes} minutes' if minutes > 1 else 'a minute'} ago")
    if edition and not series["first_version"] <= edition.version <= series["version"]:
        raise VersionGone
    if as_of is not None and series["replaced_at"] is not None and as_of < series["replaced_at"]:
        raise VersionGone


def _admit(dataset: str, frequency: str, *, stored: str | None, offered: str, replace: bool = False) -> str:
    step = policy.admit(stored, offered, replace=replace)
    if step == "refuse":
        raise SeriesHasOtherSource(dataset, frequency, stored=str(stored), offered=offered)
    return step


def _whole_months(window: Window) -> Window:
    """For months, the days of those whose first instant lies in the window."""
    if window.frequency != "1mo":
        return window
    start, end = policy.month_from(window.start), policy.month_from(window.end)
    return dataclasses.replace(window, start=start, end=end)
