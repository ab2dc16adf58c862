"""Extends a running grant by a new one that takes its place."""

from dataclasses import replace
from datetime import datetime
from uuid import UUID

from sqlalchemy.orm import Session

from services.entitlements.accounts.policy import check_standing
from services.entitlements.accounts.repository import AccountRepository
from services.entitlements.database import audit_events
from services.entitlements.grants.entities import Grant
from services.entitlements.grants.errors import GrantNotFound, SelfDecision
from services.entitlements.grants.policy import later, longest, require_open, shortens, term_of
from services.entitlements.grants.repository import GrantRepository
from services.entitlements.grants.schemas import GrantOut, as_json
from services.entitlements.grants.service import GrantService, follow, new_grant
from services.entitlements.notifications.events import announce
from services.entitlements.renewals.schemas import Extension
from shared import audit
from shared.clock import Clock
from shared.principal import Principal
from shared.wire import instant_text


class RenewalService:
    """Extensions by Ops, in the caller's transaction."""

    def __init__(self, session: Session, clock: Clock) -> None:
        self._session = session
        self._clock = clock
        self._accounts = AccountRepository(session)
        self._grants = GrantRepository(session)
        self._readers = GrantService(session, clock)

    def extend(self, grant: UUID, wanted: Extension, by: Principal) -> GrantOut:
        """The grant that takes its place; raises GrantNotFound, SelfDecision, AccountBlocked, GrantClosed, CellHeld."""
        found = self._grants.find(grant)
        if found is None:
            raise GrantNotFound
        if found.account == by.account:
            raise SelfDecision
        account = self._accounts.hold(found.account)
        old, now = self._lock_open(grant)
        check_standing(account, now)
        new = self._successor(old, wanted, by, now)
        if shortens(longest(old), longest(new)):  # a grace may have been answered to last longer
            self._grants.raise_change(old)
        self._grants.close(old, "superseded", at=now)
        self._grants.add(new)
        self._announce(new, by, now)
        return self._readers.describe([new], by)[0]

    def _lock_open(self, grant: UUID) -> tuple[Grant, datetime]:
        """The grant, held, and the time at which it was still open; raises GrantClosed."""
        old = self._grants.lock(grant)
        if old is None:
            raise GrantNotFound
        now = self._clock.now(self._session)
        require_open(old, now)
        return old, now

    def _successor(self, old: Grant, wanted: Extension, by: Principal, now: datetime) -> Grant:
        term = term_of(wanted.terms(old, now), now)
        new = new_grant(
            account=old.account,
            dataset=old.dataset,
            frequency=old.frequency,
            term=replace(term, ends_at=later(old.ends_at, term.ends_at)),
            origin="renewal",
            now=now,
            by=by.account,
        )
        follow(old, new)
        new.request_id = old.request_id
        new.reason = wanted.reason or old.reason
        return new

    def _announce(self, grant: Grant, by: Principal, now: datetime) -> None:
        data = {
            "account": str(grant.account),
            "dataset": grant.dataset,
            "frequency": grant.frequency,
            "supersedes": str(grant.supersedes),
            "ends_at": instant_text(grant.ends_at),
        }
        audit.record(self._session, audit_events, actor=by, action="grant.extended", subject=grant.id, data=data)
        if grant.starts_at <= now:  # else it is told of, with its new end, when it begins
            told = {"dataset": grant.dataset, "grants": [as_json(self._readers.describe([grant], by)[0])]}
            announce(self._session, "grant.started", to=grant.account, data=told)
