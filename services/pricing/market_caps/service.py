"""What can be done with market capitalisations: record days, read them, tell what is held."""

from datetime import date

from sqlalchemy.orm import Session

from services.pricing.market_caps import policy
from services.pricing.market_caps.repository import CAP, MarketCapRepository
from services.pricing.market_caps.schemas import DayCaps, Days, MarketCapOut, Told
from services.pricing.prices.policy import admit
from services.pricing.prices.repository import PriceRepository
from services.pricing.prices.schemas import Edition
from services.pricing.prices.service import NEVER_STORED, require_told
from shared.clock import Clock


class MarketCapService:
    """The use cases of market capitalisations, in the caller's transaction."""

    def __init__(self, session: Session, clock: Clock) -> None:
        self._session = session
        self._clock = clock
        self._caps = MarketCapRepository(session)
        self._series = PriceRepository(session)

    def record(self, dataset: str, caps: DayCaps, *, source: str, provenance: str, replace: bool = False) -> int:
        """Write a source's values unless one of the same or a better provenance stands there; how many were written.

        What gives way is kept as a revision. But the first real value takes the place of all sample ones, which are
        gone then. None is written where another real source's stand, nor a sample one among real ones. `replace` makes
        all that this source stored give way so.
        """
        if not caps:
            return 0
        now = self._clock.now(self._session)
        held = self._series.lock_series(dataset, CAP, source=source, now=now)
        step = admit(held.source, source, replace=replace and held.source == source)
        if step == "refuse":
            return 0
        anew = step == "replace" and held.version > 0
        if anew:
            self._caps.clear(dataset)
        now, version = self._clock.now(self._session), held.version + 1  # after the lock: revisions follow each other
        over = policy.worse_than(provenance)
        written = self._caps.merge(dataset, caps, provenance=provenance, over=over, now=now, version=version)
        if written:
            self._series.change_series(dataset, CAP, source=source, now=now, version=version, anew=anew)
        return written

    def held(self, day: date) -> dict[str, str]:
        """The provenance of what is held for a day, by dataset."""
        return self._caps.provenances(day)

    def edition(self, days: Days) -> Edition:
        """The version that days are of, the present one unless they say another; raises what reading them would."""
        series = self._series.find_series(days.dataset, CAP)
        if days.as_of is not None or days.edition is not None:
            known = {**(series.model_dump() if series else NEVER_STORED), "now": self._clock.now(self._session)}
            require_told(known, as_of=days.as_of, edition=days.edition, settled=policy.SETTLED)
        return days.edition or (Edition(series.version, series.updated_at) if series else Edition(0, None))

    def read(self, days: Days, *, limit: int | None) -> Told:
        """The first `limit` days, or all; raises VersionGone, and InvalidInput for too late an instant."""
        found = self._caps.read(days, limit=None if limit is None else limit + 1)
        series, rows = found[0], [MarketCapOut.model_validate(dict(row)) for row in found if row["date"]]
        require_told(dict(series), as_of=days.as_of, edition=days.edition, settled=policy.SETTLED)
        edition = days.edition or Edition(series["version"], series["updated_at"])
        return Told(rows[:limit], len(rows) > len(rows[:limit]), series["source"], edition)
