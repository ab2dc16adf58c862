"""All that people can do at the entitlements, in one session and by one clock, in few words."""

from collections.abc import Callable
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from services.entitlements.access.schemas import AccessOut, AccessQuery
from services.entitlements.access.service import AccessService
from services.entitlements.accounts.schemas import AccountOut
from services.entitlements.announcer.service import AnnouncerService
from services.entitlements.closings.service import ClosingService
from services.entitlements.coverage.schemas import CellOut, CellsQuestion
from services.entitlements.coverage.service import CoverageService
from services.entitlements.database import audit_events, metadata, outbox
from services.entitlements.decisions.schemas import Decision
from services.entitlements.decisions.service import DecisionService
from services.entitlements.direct_grants.schemas import DirectGrant
from services.entitlements.direct_grants.service import DirectGrantService
from services.entitlements.grants.schemas import GrantOut, Revocation
from services.entitlements.grants.service import GrantService
from services.entitlements.intake.schemas import PreviewOut
from services.entitlements.intake.service import IntakeService
from services.entitlements.questions.schemas import Answer, Question
from services.entitlements.questions.service import QuestionService
from services.entitlements.renewals.schemas import Extension
from services.entitlements.renewals.service import RenewalService
from services.entitlements.requests.entities import AccessRequest, RequestItem
from services.entitlements.requests.policy import LAPSES_AFTER
from services.entitlements.requests.repository import RequestRepository
from services.entitlements.requests.schemas import NewRequest, OpsRequestOut, RequestOut
from services.entitlements.requests.service import RequestService
from services.entitlements.retirements.service import RetirementService
from services.entitlements.rules.service import RuleService
from services.entitlements.simulations.service import SimulationService
from services.entitlements.standing.schemas import Block
from services.entitlements.standing.service import StandingService
from services.entitlements.withdrawals.schemas import Withdrawal
from services.entitlements.withdrawals.service import WithdrawalService
from shared.clock import Clock, DatabaseClock
from shared.ids import new_id
from shared.principal import Principal
from tests.services.entitlements.fakes import OPS, QUANT, offer_of

Intake = Callable[[Session, Clock], IntakeService]
Decisions = Callable[[Session, Clock], DecisionService]


class Desk:
    """The use cases; a race's control passes services whose guard was taken out."""

    def __init__(
        self,
        session: Session,
        clock: Clock | None = None,
        *,
        intake: Intake = IntakeService,
        decisions: Decisions = DecisionService,
    ) -> None:
        self.session = session
        clock = clock or DatabaseClock()
        self.intake, self.decisions = intake(session, clock), decisions(session, clock)
        self.requests = RequestService(session, clock)
        self.grants, self.direct_grants = GrantService(session, clock), DirectGrantService(session, clock)
        self.closings, self.renewals = ClosingService(session, clock), RenewalService(session, clock)
        self.standings, self.announcer = StandingService(session, clock), AnnouncerService(session, clock)
        self.retirements = RetirementService(session, clock)
        self.access, self.coverage = AccessService(session, clock), CoverageService(session, clock)
        self.rules, self.simulations, self.clock = RuleService(session, clock), SimulationService(session), clock
        self.questions, self.withdrawals = QuestionService(session, clock), WithdrawalService(session, clock)

    def announce(self) -> int:
        """Say what is due."""
        return self.announcer.announce_due(100)

    def ask(self, *frequencies: str, by: Principal = QUANT, dataset: str = "BTC", **more: Any) -> RequestOut:
        """Ask for frequencies."""
        new = NewRequest.model_validate({"dataset": dataset, "frequencies": frequencies, **more})
        return self.intake.create(new, offer_of(dataset), by)

    def preview(self, *frequencies: str, by: Principal = QUANT, dataset: str = "BTC", **more: Any) -> PreviewOut:
        """What asking would be answered with."""
        new = NewRequest.model_validate({"dataset": dataset, "frequencies": frequencies, **more})
        return self.intake.preview(new, offer_of(dataset), by)

    def ask_anyway(self, frequency: str, by: Principal = QUANT, **more: Any) -> UUID:
        """A pending item of BTC, whatever its cell holds."""
        now = self.clock.now(self.session)
        cell: dict[str, Any] = {"account": by.account_id, "dataset": "BTC", "lapse_at": now + LAPSES_AFTER}
        request = AccessRequest(id=new_id(), trial=False, created_at=now, **cell, **more)
        item = RequestItem(id=new_id(), request_id=request.id, frequency=frequency, **cell)
        assert RequestRepository(self.session).add(request, [item])
        return request.id

    def decide(self, request: UUID, *, by: Principal = OPS, **decision: Any) -> OpsRequestOut:
        """Decide, and read the request as Ops."""
        self.decisions.decide(request, Decision.model_validate(decision), by)
        read = self.requests.find(request, by)
        assert isinstance(read, OpsRequestOut)
        return read

    def refuse(self, request: UUID) -> OpsRequestOut:
        """Refuse all that is undecided."""
        return self.decide(request, outcome="refuse", reason="No licence.")

    def give(
        self, *frequencies: str, to: Principal = QUANT, by: Principal = OPS, dataset: str = "BTC", **terms: Any
    ) -> list[GrantOut]:
        """Give access without a request."""
        body = {"account": to.account_id, "dataset": dataset, "frequencies": frequencies, "reason": "Signed", **terms}
        return self.direct_grants.give(DirectGrant.model_validate(body), self.account(to), offer_of(dataset), by)

    def revoke(
        self, grant: UUID, reason: str = "The licence ended.", by: Principal = OPS, at: datetime | None = None
    ) -> GrantOut:
        """Revoke a grant, now or later."""
        return self.closings.revoke(grant, Revocation(reason=reason, effective_at=at), by)

    def extend(self, grant: UUID, *, by: Principal = OPS, **wanted: Any) -> GrantOut:
        """Extend a grant."""
        return self.renewals.extend(grant, Extension.model_validate(wanted), by)

    def account(self, who: Principal = QUANT) -> AccountOut:
        """Somebody's account as the gateway knows it."""
        return AccountOut(id=who.account_id, name=who.name, role="quant")

    def block(self, who: Principal = QUANT, *, by: Principal = OPS, until: datetime | None = None) -> AccountOut:
        """Block an account."""
        return self.standings.block(self.account(who), Block(reason="Unpaid", until=until), by)

    def question(
        self, request: UUID, *frequencies: str, text: str = "For which desk?", by: Principal = OPS
    ) -> RequestOut:
        """Ask about a request, and read it as who asked."""
        question = Question.model_validate({"text": text, "frequencies": frequencies or None})
        self.questions.ask(request, question, by)
        return self.requests.find(request, by)

    def answer(self, request: UUID, text: str = "For carry.", by: Principal = QUANT) -> RequestOut:
        """Answer, and read the request."""
        self.questions.answer(request, Answer(text=text), by)
        return self.requests.find(request, by)

    def withdraw(self, request: UUID, *frequencies: str, by: Principal = QUANT) -> RequestOut:
        """Withdraw, and read the request."""
        self.withdrawals.withdraw(request, Withdrawal.model_validate({"frequencies": frequencies or None}), by)
        return self.requests.find(request, by)

    def may(self, frequency: str | None = "1d", *, who: Principal = QUANT) -> AccessOut:
        """Whether somebody may read a cell of BTC, or any that is offered."""
        offered = [] if frequency else ["1h", "1d", "1mo"]
        return self.access.may(
            AccessQuery.model_validate(
                {"account": who.account_id, "dataset": "BTC", "frequency": frequency, "offered": offered}
            )
        )

    def cells(self, *datasets: str, who: Principal = QUANT) -> list[CellOut]:
        """How it stands with somebody's cells of datasets, BTC unless said, at three frequencies each."""
        offered = [{"dataset": name, "frequencies": ["1h", "1d", "1mo"]} for name in datasets or ["BTC"]]
        question = {"account": who.account_id, "role": who.role, "offered": offered}
        return self.coverage.cells(CellsQuestion.model_validate(question))

    def counts(self) -> dict[str, int]:
        """How many rows every table has."""
        tables = metadata.sorted_tables
        return {t.name: self.session.execute(select(func.count()).select_from(t)).scalar_one() for t in tables}

    def audited(self, action: str) -> list[Any]:
        """The audit rows of an action."""
        return list(self.session.execute(select(audit_events).where(audit_events.c.action == action)))

    def told(self, type_: str) -> list[Any]:
        """The payloads of the events of a type."""
        query = select(outbox.c.payload).where(outbox.c.type == type_).order_by(outbox.c.id)
        return list(self.session.execute(query).scalars())
