"""Asks the Quant, and takes the answer: the items concerned wait for whoever's turn it is."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Literal
from uuid import UUID

from sqlalchemy.orm import Session

from services.entitlements.database import audit_events
from services.entitlements.grants.errors import SelfDecision
from services.entitlements.notifications.events import OPS, announce
from services.entitlements.questions.errors import NothingToAnswer
from services.entitlements.questions.schemas import Answer, Question
from services.entitlements.requests.entities import AccessRequest, RequestItem, RequestMessage
from services.entitlements.requests.errors import AlreadyDecided, RequestNotFound
from services.entitlements.requests.policy import fates, item_status, undecided_of
from services.entitlements.requests.repository import SHORTEST_FIRST, RequestRepository
from shared import audit
from shared.clock import Clock
from shared.ids import new_id
from shared.principal import Principal


class QuestionService:
    """Questions and answers, in the caller's transaction."""

    def __init__(self, session: Session, clock: Clock) -> None:
        self._session = session
        self._clock = clock
        self._requests = RequestRepository(session)

    def ask(self, request_id: UUID, question: Question, by: Principal) -> None:
        """Ask the owner about undecided items, which then wait for the answer; raises why that cannot be."""
        request = self._requests.find(request_id)
        if request is None:
            raise RequestNotFound
        if request.account == by.account:
            raise SelfDecision
        items, now = self._requests.lock_items(request_id), self._clock.now(self._session)
        open_ = undecided_of(items, question.frequencies, now, by)
        if not open_:
            raise AlreadyDecided(items=fates(items, now, by))
        self._requests.move(open_, "needs-info")
        data = self._say(request, open_, question.text, by, "ops", now)
        announce(self._session, "access.question", to=request.account, data=data)

    def answer(self, request_id: UUID, answer: Answer, by: Principal) -> None:
        """Answer what was asked; the items wait for Ops again. Raises RequestNotFound for another's request."""
        request = self._requests.find(request_id)
        if request is None or request.account != by.account:
            raise RequestNotFound
        items, now = self._requests.lock_items(request_id), self._clock.now(self._session)
        asked = [item for item in items if item_status(item, now) == "needs-info"]
        if not asked:
            raise NothingToAnswer(items=fates(items, now, by))
        self._requests.move(asked, "pending")
        data = self._say(request, asked, answer.text, by, "quant", now)
        told = {**data, "account": str(request.account), "account_name": by.name}
        announce(self._session, "access.answered", to=OPS, data=told)

    def _say(
        self,
        request: AccessRequest,
        items: Sequence[RequestItem],
        text: str,
        by: Principal,
        role: Literal["ops", "quant"],
        now: datetime,
    ) -> dict[str, Any]:
        """Add to the thread and to the record; what the other side is told."""
        frequencies = sorted((item.frequency for item in items), key=SHORTEST_FIRST.index)
        message = RequestMessage(
            id=new_id(),
            request_id=request.id,
            author=by.account_id,
            author_role=role,
            frequencies=frequencies,
            text=text,
            at=now,
        )
        self._requests.say(message)
        data = {"dataset": request.dataset, "frequencies": frequencies}
        action = "access.questioned" if role == "ops" else "access.answered"
        recorded = {**data, "message": str(message.id)}
        audit.record(self._session, audit_events, actor=by, action=action, subject=request.id, data=recorded)
        return {**data, "request": str(request.id), "text": text}
