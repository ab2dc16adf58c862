"""What can be done with market capitalisations: record a day, list days, tell what is held."""

from collections.abc import Sequence
from datetime import date

from sqlalchemy.orm import Session

from services.pricing.market_caps import policy
from services.pricing.market_caps.entities import MarketCap
from services.pricing.market_caps.repository import MarketCapRepository
from services.pricing.market_caps.schemas import DayCaps
from shared.clock import Clock


class MarketCapService:
    """The use cases of market capitalisations, in the caller's transaction."""

    def __init__(self, session: Session, clock: Clock) -> None:
        self._session = session
        self._clock = clock
        self._caps = MarketCapRepository(session)

    def record(self, dataset: str, caps: DayCaps, *, provenance: str) -> int:
        """Write days' values unless one of the same or a better provenance stands there; how many were written.

        What gives way is kept as a revision. But the first real value takes the place of all sample ones, which
        are gone then, and a sample one never stands among real ones.
        """
        if not caps:
            return 0
        self._caps.lock(dataset)
        held = policy.source_of(self._caps.any_provenance(dataset))
        offered = policy.source_of(provenance)
        if held == policy.SAMPLE and offered != policy.SAMPLE:
            self._caps.delete(dataset, provenance=policy.SAMPLE)
        elif held is not None and held != offered:
            return 0
        now, over = self._clock.now(self._session), policy.worse_than(provenance)
        return self._caps.merge(dataset, caps, provenance=provenance, over=over, now=now)

    def held(self, day: date) -> dict[str, str]:
        """The provenance of what is held for a day, by dataset."""
        return self._caps.provenances(day)

    def page(self, dataset: str, *, start: date, end: date, limit: int | None) -> Sequence[MarketCap]:
        """At most `limit` days in [start, end), oldest first; all of them without one."""
        return self._caps.page(dataset, start=start, end=end, limit=limit)

    def source(self, dataset: str) -> str | None:
        """Whose values the dataset's are, if there are any."""
        return policy.source_of(self._caps.any_provenance(dataset))
