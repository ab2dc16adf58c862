"""What can be done with the runs of the jobs: list them, ask for one."""

from collections.abc import Sequence
from datetime import date, datetime
from uuid import UUID

from sqlalchemy import RowMapping
from sqlalchemy.orm import Session

from services.pricing.feeds import policy
from services.pricing.feeds.errors import JobNotFound
from services.pricing.feeds.repository import RunRepository
from shared.clock import Clock
from shared.errors import invalid
from shared.principal import Principal


class RunService:
    """The use cases of runs, in the caller's transaction."""

    def __init__(self, session: Session, clock: Clock) -> None:
        self._session = session
        self._clock = clock
        self._runs = RunRepository(session)

    def page(self, *, job: str | None, before: tuple[datetime, UUID] | None, limit: int) -> Sequence[RowMapping]:
        """At most `limit` runs, latest slot first."""
        return self._runs.page(job=job, before=before, limit=limit)

    def request(self, name: str, day: date | None, by: Principal) -> RowMapping:
        """Make a run due, again if it was done; raises JobNotFound, and InvalidInput for a day that has no slot."""
        slot = slot_of(name, day, self._clock.now(self._session))
        return self._runs.make_due(name, slot, requested_by=str(by.account or by.name))


def slot_of(name: str, day: date | None, now: datetime) -> datetime:
    """The slot a run by hand is for; raises JobNotFound, and InvalidInput for a day that has no slot."""
    if name not in policy.NAMES:
        raise JobNotFound(jobs=list(policy.NAMES))
    if name == policy.SYNC and day is not None:
        raise invalid("body", "/date", "no date: sync-prices loads what is new, and older history")
    if day is not None and day < policy.FIRST_DAY:
        raise invalid("body", "/date", f"a day from {policy.FIRST_DAY} on")
    slot = policy.slot_for(name, day, now)
    if slot > now:
        raise invalid("body", "/date", "a day that is not in the future; today's market cap is taken at 20:00 UTC")
    return slot
