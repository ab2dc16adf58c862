"""Ends grants at their frequency's retirement and refuses what was asked for; doing it again changes nothing.

What somebody holds just now is left for the next time: a decision or a revocation waits for a few rows at most, never
for all that a retirement is about.
"""

from datetime import datetime

from sqlalchemy.orm import Session

from services.entitlements.database import audit_events
from services.entitlements.grants.entities import Grant
from services.entitlements.grants.policy import longest, shortens
from services.entitlements.grants.repository import GrantRepository
from services.entitlements.notifications.events import announce
from services.entitlements.requests.entities import RequestItem
from services.entitlements.requests.events import outcome_of
from services.entitlements.requests.repository import RequestRepository
from services.entitlements.retirements.schemas import Retiring
from shared import audit
from shared.clock import Clock
from shared.principal import Principal
from shared.wire import instant_text

BATCH = 100
SELF = Principal(role="service", name="entitlements")
REASON = {"reason": "The frequency was retired.", "reason_code": "retired"}


class RetirementService:
    """What the catalog retired, carried out in the caller's transaction."""

    def __init__(self, session: Session, clock: Clock) -> None:
        self._session = session
        self._clock = clock
        self._grants = GrantRepository(session)
        self._requests = RequestRepository(session)

    def follow(self, dataset: Retiring, limit: int = BATCH) -> int:
        """Bring a dataset's items and grants in line with its retirements, also with those that were undone.

        At most so many rows of a kind and frequency, none of which the next time finds again; how many it was.
        """
        now = self._clock.now(self._session)
        retired, found = sorted(dataset.retired.items()), 0
        for frequency in [frequency for frequency, at in retired if at <= now]:
            for item in self._requests.lock_retired(dataset.symbol, frequency, now, limit):
                self._refuse(item, now)
                found += 1
        for frequency, at in retired:  # after all items: in the order in which deciding holds them
            for grant in self._grants.lock_retired(dataset.symbol, frequency, at, limit):
                self._end(grant, at, now)
                found += 1
        for grant in self._grants.lock_unretired(dataset.symbol, dataset.retired, limit):
            self._go_on(grant, now)
            found += 1
        return found

    def _go_on(self, grant: Grant, now: datetime) -> None:
        """Have the grant end as if nothing had been retired, unless it is over."""
        if not self._grants.write_end(grant, now):
            grant.retires_at = None
            self._grants.move_end(grant)

    def _end(self, grant: Grant, at: datetime, now: datetime) -> None:
        """Have the grant end at `at`, or at once where that is past, and say so the first time."""
        if self._grants.write_end(grant, now):
            return
        told, grant.retires_at = longest(grant), at
        if at <= now:
            self._grants.close(grant, "retired", at=max(at, grant.created_at))
        self._grants.move_end(grant)
        if shortens(told, longest(grant)):
            self._grants.raise_change(grant)
        cell = {"dataset": grant.dataset, "frequency": grant.frequency, "retired_at": instant_text(at)}
        audit.record(self._session, audit_events, actor=SELF, action="grant.retired", subject=grant.id, data=cell)
        announce(self._session, "dataset.retired", to=grant.account, data={**cell, "grant": str(grant.id)})

    def _refuse(self, item: RequestItem, now: datetime) -> None:
        self._requests.decide(item.id, status="refused", outcome_by="rule", decided_at=now, **REASON)
        outcome = {"frequency": item.frequency, "outcome": "refused", "reason_code": REASON["reason_code"]}
        data = {"dataset": item.dataset, "items": [outcome]}
        audit.record(
            self._session, audit_events, actor=SELF, action="access.decided", subject=item.request_id, data=data
        )
        decided = outcome_of(item.frequency, "refused", None, **REASON)
        told = {"request": str(item.request_id), "dataset": item.dataset, "decisions": [decided]}
        announce(self._session, "access.decided", to=item.account, data=told)
