"""What can be done with a request that comes in: make it, or say beforehand what would become of it."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy.orm import Session

from services.entitlements.accounts.repository import AccountRepository
from services.entitlements.database import audit_events
from services.entitlements.grants.entities import Grant
from services.entitlements.grants.policy import OPEN, status_of, term_of
from services.entitlements.grants.repository import GrantRepository
from services.entitlements.grants.schemas import Terms
from services.entitlements.grants.service import GrantService, new_grant
from services.entitlements.intake.policy import STATUS, Cell, Why, skipped_as
from services.entitlements.intake.schemas import PreviewItem, PreviewOut
from services.entitlements.notifications.events import OPS, announce
from services.entitlements.requests import policy
from services.entitlements.requests.entities import AccessRequest, RequestItem
from services.entitlements.requests.errors import Cooldown, NothingToRequest, TooManyOpen
from services.entitlements.requests.events import outcome_of
from services.entitlements.requests.repository import RequestRepository
from services.entitlements.requests.schemas import NewRequest, RequestOut, Skipped
from services.entitlements.requests.service import RequestService, check_offered
from services.entitlements.requests.source import Offer
from services.entitlements.rules.schemas import Trace
from services.entitlements.rules.service import Question, RuleService
from shared import audit
from shared.clock import Clock
from shared.ids import new_id
from shared.principal import Principal
from shared.wire import instant_text

RULES = Principal(role="service", name="rules")


@dataclass(frozen=True)
class Plan:
    """What becomes of each frequency: it is skipped, or an item with the rules' answer."""

    skipped: list[Skipped]
    items: dict[str, Trace]


class IntakeService:
    """The way in, in the caller's transaction."""

    def __init__(self, session: Session, clock: Clock) -> None:
        self._session = session
        self._clock = clock
        self._requests = RequestRepository(session)
        self._standing = GrantRepository(session)
        self._accounts = AccountRepository(session)
        self._grants = GrantService(session, clock)
        self._shown = RequestService(session, clock)
        self._rules = RuleService(session, clock)

    def preview(self, new: NewRequest, offer: Offer | None, caller: Principal) -> PreviewOut:
        """What `create` would do now, or the refusal that it would raise; writes nothing."""
        check_offered(offer, new.frequencies)
        plan = self._plan(new, caller, self._clock.now(self._session))
        items = [_preview(frequency, trace) for frequency, trace in plan.items.items()]
        return PreviewOut(
            **new.model_dump(include={"dataset", "trial", "duration_days"}), items=items, skipped=plan.skipped
        )

    def create(self, new: NewRequest, offer: Offer | None, caller: Principal) -> RequestOut:
        """Ask for what is neither held nor pending, and do what the rules answer; raises why nothing can be asked."""
        check_offered(offer, new.frequencies)
        # the account's row is held from here on: its requests come one after another, so that no cap is passed
        self._accounts.meet(caller.account_id, name=caller.name, role=caller.role)
        asked = self._requests.lock_undecided(caller.account_id, new.dataset, new.frequencies)
        self._standing.lock_cells(caller.account_id, new.dataset, new.frequencies)
        now = self._clock.now(self._session)
        self._shown.write_lapsed(asked, now)
        plan = self._plan(new, caller, now)
        request, items = _rows(new, plan, caller, now)
        written = self._requests.add(request, items)
        lost = self._pending(request, [item.frequency for item in items if item.frequency not in written])
        if not written:
            raise _nothing(plan.skipped + lost)
        made = [item for item in items if item.frequency in written]
        self._record(request, made, caller)
        self._settle(request, [(item, plan.items[item.frequency]) for item in made], caller, now)
        answer = self._shown.find(request.id, caller)
        return answer.model_copy(update={"skipped": plan.skipped + lost})

    def _plan(self, new: NewRequest, caller: Principal, now: datetime) -> Plan:
        """All that is decided about a request that comes in, for `create` to write and for `preview` to show."""
        cells = self._cells(new, caller, now)
        skipped = [_skip(cell, why) for cell in cells if (why := skipped_as(cell, trial=new.trial, now=now))]
        known = {skip.frequency for skip in skipped}
        wanted = [cell for cell in cells if cell.frequency not in known]
        if not wanted:
            raise _nothing(skipped)
        self._check_cooldown(new, [cell.frequency for cell in wanted], caller, now)
        question = Question(
            account=caller.account_id,
            role=caller.role,
            cells=[(new.dataset, cell.frequency) for cell in wanted],
            trial=new.trial,
            duration_days=new.duration_days,
            held=frozenset((new.dataset, cell.frequency) for cell in wanted if cell.held),
        )
        traces = self._rules.judge(question, now)
        self._check_open(sum(STATUS[trace.outcome] == "pending" for trace in traces), caller, now)
        return Plan(skipped, {cell.frequency: trace for cell, trace in zip(wanted, traces, strict=True)})

    def _cells(self, new: NewRequest, caller: Principal, now: datetime) -> list[Cell]:
        # in this order: what a decision takes out of the undecided meanwhile, it puts among the held
        undecided = self._requests.undecided(caller.account_id, new.dataset, new.frequencies)
        pending = {item.frequency: item for item in undecided if policy.is_undecided(item, now)}
        unclosed = self._standing.unclosed(caller.account_id, new.dataset)
        held = {grant.frequency: grant for grant in unclosed if status_of(grant, now) in OPEN}
        return [Cell(f, pending.get(f), held.get(f)) for f in new.frequencies]

    def _check_cooldown(self, new: NewRequest, frequencies: Sequence[str], caller: Principal, now: datetime) -> None:
        cells = (caller.account_id, new.dataset, frequencies)
        granted_at = {grant.frequency: grant.created_at for grant in self._standing.latest(*cells)}
        for frequency, later in policy.cooldowns(self._requests.latest(*cells), granted_at).items():
            if later > now:
                raise Cooldown(frequency=frequency, reapply_after=instant_text(later))

    def _check_open(self, new: int, caller: Principal, now: datetime) -> None:
        if new and self._requests.count_undecided(caller.account_id, now) + new > policy.MAX_OPEN:
            raise TooManyOpen(limit=policy.MAX_OPEN)

    def _pending(self, request: AccessRequest, frequencies: Sequence[str]) -> list[Skipped]:
        items = self._requests.undecided(request.account, request.dataset, frequencies) if frequencies else []
        return [Skipped(frequency=i.frequency, why="already-pending", request=i.request_id) for i in items]

    def _record(self, request: AccessRequest, items: Sequence[RequestItem], caller: Principal) -> None:
        data = {"dataset": request.dataset, "frequencies": [i.frequency for i in items], "trial": request.trial}
        audit.record(
            self._session, audit_events, actor=caller, action="access.requested", subject=request.id, data=data
        )

    def _settle(
        self, request: AccessRequest, items: Sequence[tuple[RequestItem, Trace]], caller: Principal, now: datetime
    ) -> None:
        """Write what the rules decided; the account is told of that, and Ops of the rest."""
        decided = [(item, trace) for item, trace in items if STATUS[trace.outcome] != "pending"]
        if decided:
            self._announce(request, [self._decide(request, item, trace, now) for item, trace in decided])
        left = [item.frequency for item, trace in items if STATUS[trace.outcome] == "pending"]
        if left:
            self._standing.begin_grace(request.account, request.dataset, left, lapse_at=request.lapse_at, now=now)
            told = {"dataset": request.dataset, "frequencies": left, "trial": request.trial, "request": str(request.id)}
            told |= {"account": str(request.account), "account_name": caller.name}
            announce(self._session, "access.requested", to=OPS, data=told)

    def _decide(self, request: AccessRequest, item: RequestItem, trace: Trace, now: datetime) -> dict[str, Any]:
        grant = self._give(request, item, trace, now) if trace.outcome == "approve" else None
        self._requests.decide(
            item.id,
            status=STATUS[trace.outcome],
            outcome_by="rule",
            decided_at=now,
            reason=trace.reason,
            reason_code=trace.reason_code,
            grant_id=grant.id if grant else None,
        )
        why = {"reason": trace.reason, "reason_code": trace.reason_code}
        return outcome_of(item.frequency, STATUS[trace.outcome], grant, **why)

    def _give(self, request: AccessRequest, item: RequestItem, trace: Trace, now: datetime) -> Grant:
        term = term_of(Terms(), now, asked_days=request.duration_days, asked_trial=request.trial)
        grant = new_grant(
            account=request.account,
            dataset=request.dataset,
            frequency=item.frequency,
            term=term,
            origin="rule",
            now=now,
            by=None,
        )
        grant.request_id, grant.reason = request.id, trace.reason
        return self._grants.give(grant, now)

    def _announce(self, request: AccessRequest, decisions: list[dict[str, Any]]) -> None:
        recorded = [
            {name: told[name] for name in ("frequency", "outcome", "grant", "supersedes", "reason_code")}
            for told in decisions
        ]
        data = {"dataset": request.dataset, "items": recorded}
        audit.record(self._session, audit_events, actor=RULES, action="access.decided", subject=request.id, data=data)
        told = {"request": str(request.id), "dataset": request.dataset, "decisions": decisions}
        announce(self._session, "access.decided", to=request.account, data=told)


def _nothing(skipped: Sequence[Skipped]) -> NothingToRequest:
    return NothingToRequest(skipped=[skip.model_dump(mode="json", exclude_none=True) for skip in skipped])


def _skip(cell: Cell, why: Why) -> Skipped:
    if cell.pending is not None:
        return Skipped(frequency=cell.frequency, why=why, request=cell.pending.request_id)
    grant = cell.held
    return Skipped(
        frequency=cell.frequency, why=why, grant=grant.id if grant else None, ends_at=grant.ends_at if grant else None
    )


def _preview(frequency: str, trace: Trace) -> PreviewItem:
    said = trace.model_dump(include={"rule", "reason", "reason_code"})
    return PreviewItem(frequency=frequency, outcome=STATUS[trace.outcome], **said)


def _rows(new: NewRequest, plan: Plan, caller: Principal, now: datetime) -> tuple[AccessRequest, list[RequestItem]]:
    """The request and its items, undecided still; each with what the rules said about it."""
    request = AccessRequest(
        id=new_id(),
        account=caller.account_id,
        **new.model_dump(include={"dataset", "reason", "trial", "duration_days"}),
        created_at=now,
        lapse_at=now + policy.LAPSES_AFTER,
    )
    cell: dict[str, Any] = {
        "request_id": request.id,
        "account": request.account,
        "dataset": request.dataset,
        "lapse_at": request.lapse_at,
    }
    return request, [
        RequestItem(id=new_id(), frequency=frequency, trace=trace.model_dump(mode="json"), **cell)
        for frequency, trace in plan.items.items()
    ]
