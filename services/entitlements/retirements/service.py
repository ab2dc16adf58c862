"""Ends grants at their frequency's retirement and refuses what was asked for; doing it again changes nothing.

What somebody holds just now is left for the next time: a decision or a revocation waits for a few rows at most, never
for all that a retirement is about.
"""

from collections.abc import Sequence
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

        So many rows at most, but whole requests, and none that the next time finds again; how many it was.
        """
        now = self._clock.now(self._session)
        due = [frequency for frequency, at in dataset.retired.items() if at <= now]
        items = self._requests.lock_retired(dataset.symbol, due, now, limit)
        for request in dict.fromkeys(item.request_id for item in items):
            self._refuse([item for item in items if item.request_id == request], now)
        # after all items: in the order in which deciding holds them
        grants = self._grants.lock_not_retiring_as(dataset.symbol, dataset.retired, max(limit - len(items), 0))
        for grant in grants:
            at = dataset.retired.get(grant.frequency)
            self._go_on(grant, now) if at is None else self._end(grant, at, now)
        return len(items) + len(grants)

    def _go_on(self, grant: Grant, now: datetime) -> None:
        """Have the grant end as if nothing had been retired, unless it is over."""
        if not self._grants.write_end(grant, now):
            grant.retires_at = None
            self._grants.move_end(grant, now)

    def _end(self, grant: Grant, at: datetime, now: datetime) -> None:
        """Have the grant end at `at`, or at once where that is past, and say so the first time."""
        if self._grants.write_end(grant, now):
            return
        told, grant.retires_at = longest(grant), at
        if at <= now:
            self._grants.close(grant, "retired", at=max(at, grant.created_at))
        self._grants.move_end(grant, now)
        if shortens(told, longest(grant)):
            self._grants.raise_change(grant)
        cell = {"dataset": grant.dataset, "frequency": grant.frequency, "retired_at": instant_text(at)}
        audit.record(self._session, audit_events, actor=SELF, action="grant.retired", subject=grant.id, data=cell)
        announce(self._session, "dataset.retired", to=grant.account, data={**cell, "grant": str(grant.id)})

    def _refuse(self, items: Sequence[RequestItem], now: datetime) -> None:
        """One record and one message for the items of a request."""
        for item in items:
            self._requests.decide(item.id, status="refused", outcome_by="rule", decided_at=now, **REASON)
        first, outcomes = items[0], [outcome_of(item.frequency, "refused", None, **REASON) for item in items]
        recorded = [{name: outcome[name] for name in ("frequency", "outcome", "reason_code")} for outcome in outcomes]
        data = {"dataset": first.dataset, "items": recorded}
        audit.record(
            self._session, audit_events, actor=SELF, action="access.decided", subject=first.request_id, data=data
        )
        told = {"request": str(first.request_id), "dataset": first.dataset, "decisions": outcomes}
        announce(self._session, "access.decided", to=first.account, data=told)
