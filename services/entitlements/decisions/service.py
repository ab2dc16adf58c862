"""Decides items of requests: one transaction for the outcome, the grants, the record and the message."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy.orm import Session

from services.entitlements.accounts.repository import AccountRepository
from services.entitlements.database import audit_events
from services.entitlements.decisions.errors import NotInRequest
from services.entitlements.decisions.schemas import Decision, ItemVerdict
from services.entitlements.grants.entities import Grant
from services.entitlements.grants.errors import SelfDecision
from services.entitlements.grants.policy import Term, term_of
from services.entitlements.grants.repository import GrantRepository
from services.entitlements.grants.service import GrantService, new_grant
from services.entitlements.notifications.events import announce
from services.entitlements.requests.entities import UNDECIDED, AccessRequest, RequestItem
from services.entitlements.requests.errors import AlreadyDecided, RequestNotFound
from services.entitlements.requests.events import outcome_of
from services.entitlements.requests.policy import fates, is_undecided
from services.entitlements.requests.repository import SHORTEST_FIRST, RequestRepository
from shared import audit
from shared.clock import Clock
from shared.principal import Principal


class DecisionService:
    """Ops' decisions, in the caller's transaction."""

    def __init__(self, session: Session, clock: Clock) -> None:
        self._session = session
        self._clock = clock
        self._requests = RequestRepository(session)
        self._accounts = AccountRepository(session)
        self._cells = GrantRepository(session)
        self._grants = GrantService(session, clock)

    def decide(self, request_id: UUID, decision: Decision, by: Principal, *, at: str | None = None) -> None:
        """Give every named item its outcome, or none of them; raises why it cannot be.

        `at` is the JSON Pointer of the outcome, where the body is not the decision itself.
        """
        request = self._requests.find(request_id)
        if request is None:
            raise RequestNotFound
        if request.account == by.account:
            raise SelfDecision
        self._accounts.hold(request.account)
        items = {item.frequency: item for item in self._requests.lock_items(request_id)}
        undecided = [frequency for frequency, item in items.items() if item.status in UNDECIDED]
        self._cells.lock_cells(request.account, request.dataset, undecided)
        now = self._clock.now(self._session)
        verdicts = _verdicts(decision, items, now, by)
        outcomes = [self._settle(request, items[v.frequency], v, decision, by=by, now=now, at=at) for v in verdicts]
        self.announce(request, outcomes, by)

    def _settle(
        self,
        request: AccessRequest,
        item: RequestItem,
        verdict: ItemVerdict,
        decision: Decision,
        *,
        by: Principal,
        now: datetime,
        at: str | None,
    ) -> dict[str, Any]:
        grant = None
        if verdict.outcome == "approve":
            at = decision.pointer(verdict) if at is None else at
            term = term_of(verdict, now, asked_days=request.duration_days, asked_trial=request.trial, at=at)
            grant = self._grants.give(_grant(item, term, verdict, by, now), now)
        why = {"reason": verdict.reason, "reason_code": verdict.reason_code}
        self.close(item, grant, **why, note=decision.note, by=by, now=now)
        return outcome_of(item.frequency, "approved" if grant else "refused", grant, **why)

    def close(
        self,
        item: RequestItem,
        grant: Grant | None,
        *,
        reason: str | None,
        reason_code: str | None,
        note: str | None,
        by: Principal,
        now: datetime,
    ) -> None:
        """Write an item's outcome once: approved with its grant, or refused; raises AlreadyDecided."""
        decided = self._requests.decide(
            item.id,
            status="approved" if grant else "refused",
            outcome_by="ops",
            decided_by=by.account,
            decided_at=now,
            reason=reason,
            reason_code=reason_code,
            note=note,
            grant_id=grant.id if grant else None,
        )
        if not decided:
            raise AlreadyDecided(items=fates([item], now, by))
        if grant is None:
            self._cells.end_grace(item.account, item.dataset, item.frequency, now)

    def announce(self, request: AccessRequest, outcomes: list[dict[str, Any]], by: Principal) -> None:
        """Record what became of items of a request, and tell its account in one message."""
        recorded = [{k: o[k] for k in ("frequency", "outcome", "grant", "supersedes", "reason_code")} for o in outcomes]
        data = {"dataset": request.dataset, "items": recorded}
        audit.record(self._session, audit_events, actor=by, action="access.decided", subject=request.id, data=data)
        told = {"request": str(request.id), "dataset": request.dataset, "decisions": outcomes}
        announce(self._session, "access.decided", to=request.account, data=told)


def _verdicts(decision: Decision, items: dict[str, RequestItem], now: datetime, by: Principal) -> list[ItemVerdict]:
    """An outcome for each item concerned; raises for items that are not in the request, or not open any more."""
    open_ = [frequency for frequency, item in items.items() if is_undecided(item, now)]
    verdicts = decision.for_items(open_)
    named = [verdict.frequency for verdict in verdicts]
    if not set(named) <= set(items):
        raise NotInRequest(requested=sorted(items))
    closed = [items[frequency] for frequency in named if frequency not in open_]
    if closed or not verdicts:
        raise AlreadyDecided(items=fates(closed or list(items.values()), now, by))
    return sorted(verdicts, key=lambda verdict: SHORTEST_FIRST.index(verdict.frequency))


def _grant(item: RequestItem, term: Term, verdict: ItemVerdict, by: Principal, now: datetime) -> Grant:
    grant = new_grant(
        account=item.account,
        dataset=item.dataset,
        frequency=item.frequency,
        term=term,
        origin="ops",
        now=now,
        by=by.account,
    )
    grant.request_id, grant.reason = item.request_id, verdict.reason
    return grant
