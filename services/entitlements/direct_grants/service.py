"""Gives access without a request, and settles pending items of the same cells."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy.orm import Session

from services.entitlements.accounts.errors import UnknownAccount
from services.entitlements.accounts.repository import AccountRepository
from services.entitlements.accounts.schemas import AccountOut
from services.entitlements.database import audit_events
from services.entitlements.decisions.service import DecisionService
from services.entitlements.direct_grants.schemas import DirectGrant
from services.entitlements.grants.entities import Grant
from services.entitlements.grants.errors import SelfDecision
from services.entitlements.grants.policy import term_of
from services.entitlements.grants.repository import GrantRepository
from services.entitlements.grants.schemas import GrantOut, as_json
from services.entitlements.grants.service import GrantService, new_grant
from services.entitlements.notifications.events import announce
from services.entitlements.requests.entities import RequestItem
from services.entitlements.requests.events import outcome_of
from services.entitlements.requests.policy import is_undecided
from services.entitlements.requests.repository import RequestRepository
from services.entitlements.requests.service import RequestService, check_offered
from services.entitlements.requests.source import Offer
from shared import audit
from shared.clock import Clock
from shared.principal import Principal


class DirectGrantService:
    """Direct grants by Ops, in the caller's transaction."""

    def __init__(self, session: Session, clock: Clock) -> None:
        self._session = session
        self._clock = clock
        self._accounts = AccountRepository(session)
        self._requests = RequestRepository(session)
        self._asked = RequestService(session, clock)
        self._cells = GrantRepository(session)
        self._grants = GrantService(session, clock)
        self._decisions = DecisionService(session, clock)

    def give(
        self, wanted: DirectGrant, account: AccountOut | None, offer: Offer | None, by: Principal
    ) -> list[GrantOut]:
        """A grant for each frequency, or none at all; raises why it cannot be."""
        if account is None:
            raise UnknownAccount
        if account.id == by.account:
            raise SelfDecision
        check_offered(offer, wanted.frequencies)
        self._accounts.meet(account.id, name=account.name, role=account.role)
        asked = self._requests.lock_undecided(wanted.account, wanted.dataset, wanted.frequencies)
        self._cells.lock_cells(wanted.account, wanted.dataset, wanted.frequencies)
        now = self._clock.now(self._session)
        self._asked.write_lapsed(asked, now)
        open_ = {item.frequency: item for item in asked if is_undecided(item, now)}
        given = [self._give_one(wanted, frequency, open_.get(frequency), by, now) for frequency in wanted.frequencies]
        described = self._grants.describe(given, by)
        self._record(wanted, described, by)
        self._tell_decided(given, by)
        self._tell_started(wanted, [grant for grant in described if grant.request is None], now)
        return described

    def _give_one(
        self, wanted: DirectGrant, frequency: str, asked: RequestItem | None, by: Principal, now: datetime
    ) -> Grant:
        grant = new_grant(
            account=wanted.account,
            dataset=wanted.dataset,
            frequency=frequency,
            term=term_of(wanted, now),
            origin="direct",
            now=now,
            by=by.account,
        )
        grant.reason = wanted.reason
        grant.request_id = asked.request_id if asked else None
        self._grants.give(grant, now)
        if asked is not None:
            self._decisions.close(asked, grant, reason=wanted.reason, reason_code=None, note=None, by=by, now=now)
        return grant

    def _record(self, wanted: DirectGrant, given: list[GrantOut], by: Principal) -> None:
        data = {"account": str(wanted.account), "dataset": wanted.dataset, "frequencies": wanted.frequencies}
        for grant in given:
            recorded: dict[str, Any] = {**data, "frequencies": [grant.frequency], "request": _text(grant.request)}
            recorded["supersedes"] = _text(grant.supersedes)
            audit.record(self._session, audit_events, actor=by, action="grant.given", subject=grant.id, data=recorded)

    def _tell_decided(self, given: list[Grant], by: Principal) -> None:
        """Who asked is told what became of that, as of any decision, also where the grant begins later."""
        for request_id in dict.fromkeys(grant.request_id for grant in given if grant.request_id):
            settled = [grant for grant in given if grant.request_id == request_id]
            outcomes = [outcome_of(g.frequency, "approved", g, reason=g.reason, reason_code=None) for g in settled]
            if (request := self._requests.find(request_id)) is not None:
                self._decisions.announce(request, outcomes, by)

    def _tell_started(self, wanted: DirectGrant, unasked: list[GrantOut], now: datetime) -> None:
        begun = wanted.starts_at is None or wanted.starts_at <= now  # else it is told of when it begins
        if begun and unasked:
            told = {"dataset": wanted.dataset, "reason": wanted.reason, "grants": [as_json(grant) for grant in unasked]}
            announce(self._session, "grant.started", to=wanted.account, data=told)


def _text(identifier: UUID | None) -> str | None:
    return None if identifier is None else str(identifier)
