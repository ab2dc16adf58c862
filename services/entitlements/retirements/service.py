"""Ends grants at their frequency's retirement and refuses what was asked for; doing it again changes nothing."""

from datetime import datetime

from sqlalchemy.orm import Session

from services.entitlements.database import audit_events
from services.entitlements.grants.entities import Grant
from services.entitlements.grants.policy import shortens, until
from services.entitlements.grants.repository import GrantRepository
from services.entitlements.notifications.events import announce
from services.entitlements.requests.entities import RequestItem
from services.entitlements.requests.events import outcome_of
from services.entitlements.requests.policy import is_undecided
from services.entitlements.requests.repository import RequestRepository
from services.entitlements.retirements.schemas import Retiring
from shared import audit
from shared.clock import Clock
from shared.principal import Principal
from shared.wire import instant_text

SELF = Principal(role="service", name="entitlements")
REASON = {"reason": "The frequency was retired.", "reason_code": "retired"}


class RetirementService:
    """What the catalog retired, carried out in the caller's transaction."""

    def __init__(self, session: Session, clock: Clock) -> None:
        self._session = session
        self._clock = clock
        self._grants = GrantRepository(session)
        self._requests = RequestRepository(session)

    def follow(self, dataset: Retiring) -> None:
        """Bring a dataset's items and grants in line with its retirements; a retirement that was undone, too."""
        now = self._clock.now(self._session)
        retired = sorted(dataset.retired.items())
        for frequency in [frequency for frequency, at in retired if at <= now]:
            for item in self._requests.lock_offered(dataset.symbol, frequency):
                self._refuse(item, now)
        for frequency, at in retired:  # after all items: in the order in which deciding holds them
            for grant in self._grants.lock_offered(dataset.symbol, frequency):
                self._end(grant, at, now)
        for grant in self._grants.lock_retiring(dataset.symbol):
            if grant.frequency not in dataset.retired and not self._grants.write_end(grant, now):
                grant.retires_at = None
                self._grants.move_end(grant)

    def _end(self, grant: Grant, at: datetime, now: datetime) -> None:
        """Have the grant end at `at`, or at once where that is past, and say so the first time."""
        if self._grants.write_end(grant, now) or grant.retires_at == at:
            return
        remembered, grant.retires_at = until(grant, now), at
        if at <= now:
            self._grants.close(grant, "retired", at=max(at, grant.created_at))
        self._grants.move_end(grant)
        if shortens(remembered, until(grant, now)):
            self._grants.raise_change(grant)
        cell = {"dataset": grant.dataset, "frequency": grant.frequency, "retired_at": instant_text(at)}
        audit.record(self._session, audit_events, actor=SELF, action="grant.retired", subject=grant.id, data=cell)
        announce(self._session, "dataset.retired", to=grant.account, data={**cell, "grant": str(grant.id)})

    def _refuse(self, item: RequestItem, now: datetime) -> None:
        if not is_undecided(item, now):
            return
        self._requests.decide(item.id, status="refused", outcome_by="rule", decided_at=now, **REASON)
        outcome = {"frequency": item.frequency, "outcome": "refused", "reason_code": REASON["reason_code"]}
        data = {"dataset": item.dataset, "items": [outcome]}
        audit.record(
            self._session, audit_events, actor=SELF, action="access.decided", subject=item.request_id, data=data
        )
        decided = outcome_of(item.frequency, "refused", None, **REASON)
        told = {"request": str(item.request_id), "dataset": item.dataset, "decisions": [decided]}
        announce(self._session, "access.decided", to=item.account, data=told)
