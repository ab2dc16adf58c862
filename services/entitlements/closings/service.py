"""Ends grants before their time, and takes back what was to end one."""

from datetime import datetime
from uuid import UUID

from sqlalchemy.orm import Session

from services.entitlements.database import audit_events
from services.entitlements.grants.entities import Grant
from services.entitlements.grants.errors import GrantNotFound, SelfDecision
from services.entitlements.grants.policy import longest, require_open, shortens
from services.entitlements.grants.repository import GrantRepository
from services.entitlements.grants.schemas import GrantOut, Revocation, as_json
from services.entitlements.grants.service import GrantService
from services.entitlements.notifications.events import announce
from shared import audit
from shared.clock import Clock
from shared.errors import invalid
from shared.principal import Principal
from shared.wire import instant_text


class ClosingService:
    """The ends that people make, in the caller's transaction."""

    def __init__(self, session: Session, clock: Clock) -> None:
        self._session = session
        self._clock = clock
        self._grants = GrantRepository(session)
        self._readers = GrantService(session, clock)

    def revoke(self, grant: UUID, why: Revocation, by: Principal) -> GrantOut:
        """End a grant for good, now or later; a revoked one is given back as it is.

        Raises GrantNotFound, GrantClosed, or SelfDecision: to move a revocation is to put it off. What is one's own is
        given back.
        """
        found = self._lock(grant)
        if found.account == by.account:
            raise SelfDecision
        now = self._clock.now(self._session)
        if require_open(found, now, unless="revoked") == "revoked":
            self._grants.see_closed()
        elif why.effective_at is None:
            self.end(found, "revoked", why, by, now)
        elif why.effective_at == found.revokes_at:
            self._grants.see_closed()
        else:
            self._schedule(found, why, why.effective_at, by, now)
        return self._readers.describe([found], by)[0]

    def keep(self, grant: UUID, by: Principal) -> GrantOut:
        """Cancel a revocation to come; raises GrantNotFound, SelfDecision or, too late, GrantClosed."""
        found = self._lock(grant)
        if found.account == by.account:
            raise SelfDecision
        now = self._clock.now(self._session)
        require_open(found, now)
        if found.revokes_at is not None:
            found.revokes_at = found.closed_by = found.close_note = found.close_reason_code = None
            self._grants.move_end(found, now)
            self._record("grant.kept", found, by)
            told = as_json(self._readers.describe([found], by)[0])
            announce(self._session, "grant.kept", to=found.account, data=told)
        return self._readers.describe([found], by)[0]

    def relinquish(self, grant: UUID, by: Principal) -> GrantOut:
        """Give one's own grant back; one given back before is given as it is. Raises GrantNotFound or GrantClosed."""
        found = self._lock(grant)
        if found.account != by.account:
            raise GrantNotFound
        now = self._clock.now(self._session)
        if require_open(found, now, unless="relinquished") == "relinquished":
            self._grants.see_closed()
        else:
            found.closed_by, found.close_note, found.close_reason_code = by.account, None, None
            self._grants.close(found, "relinquished", at=now)
            self._grants.raise_change(found)
            self._record("grant.relinquished", found, by)
        return self._readers.describe([found], by)[0]

    def end(self, grant: Grant, how: str, why: Revocation, by: Principal, now: datetime) -> None:
        """Close an open grant that is held, record it and tell its account."""
        grant.closed_by, grant.close_note, grant.close_reason_code = by.account, why.reason, why.reason_code
        self._grants.close(grant, how, at=now)
        self._grants.raise_change(grant)
        self._record("grant.revoked", grant, by)
        self._tell(grant, now, by)

    def _schedule(self, grant: Grant, why: Revocation, at: datetime, by: Principal, now: datetime) -> None:
        if at <= now:
            raise invalid("body", "/effective_at", "an instant to come")
        told = longest(grant)
        grant.closed_by, grant.close_note, grant.close_reason_code = by.account, why.reason, why.reason_code
        grant.revokes_at = at
        self._grants.move_end(grant, now)
        if shortens(told, longest(grant)):
            self._grants.raise_change(grant)
        self._record("grant.revocation-scheduled", grant, by, effective_at=instant_text(at))
        self._tell(grant, at, by)
        self._grants.see_closed()  # what it moves may be one that has not answered yet

    def _lock(self, grant: UUID) -> Grant:
        found = self._grants.lock(grant)
        if found is None:
            raise GrantNotFound
        return found

    def _record(self, action: str, grant: Grant, by: Principal, **more: object) -> None:
        data = {"dataset": grant.dataset, "frequency": grant.frequency, "account": str(grant.account), **more}
        audit.record(self._session, audit_events, actor=by, action=action, subject=grant.id, data=data)

    def _tell(self, grant: Grant, at: datetime, by: Principal) -> None:
        told = as_json(self._readers.describe([grant], by)[0])
        told |= {"reason_code": grant.close_reason_code, "effective_at": instant_text(at)}
        announce(self._session, "grant.revoked", to=grant.account, data=told)
