"""Puts a request and its card together."""

from datetime import datetime
from uuid import UUID

from sqlalchemy.orm import Session

from services.entitlements.accounts.repository import AccountRepository
from services.entitlements.cards.repository import CardRepository
from services.entitlements.cards.schemas import Card, OpsRequestCard, Precedent
from services.entitlements.grants.service import GrantService
from services.entitlements.requests.schemas import OpsRequestOut, RequestOut
from services.entitlements.requests.service import RequestService, note_for
from services.entitlements.usage.repository import UsageRepository
from shared.clock import Clock
from shared.principal import Principal


class CardService:
    """Reads in the caller's transaction; as many statements for a long history as for a short one."""

    def __init__(self, session: Session, clock: Clock) -> None:
        self._session = session
        self._clock = clock
        self._requests = RequestService(session, clock)
        self._grants = GrantService(session, clock)
        self._accounts = AccountRepository(session)
        self._cards = CardRepository(session)
        self._usage = UsageRepository(session)

    def find(self, request: UUID, caller: Principal) -> RequestOut:
        """One request, for Ops with its card; raises RequestNotFound."""
        found = self._requests.find(request, caller)
        if not isinstance(found, OpsRequestOut):
            return found
        return OpsRequestCard(**found.model_dump(), card=self._card(found, caller))

    def _card(self, request: OpsRequestOut, caller: Principal) -> Card:
        now = self._clock.now(self._session)
        return Card.model_validate(
            {
                "seconds_left": _seconds_left(request, now),
                "grants": self._grants.describe(self._cards.grants(request.account), caller),
                "reads": self._usage.of_what_is_held(request.account, now),
                "outcomes": self._cards.outcomes(request.account, now),
                "precedents": self._precedents(request, caller),
            }
        )

    def _precedents(self, request: OpsRequestOut, caller: Principal) -> list[Precedent]:
        frequencies = [item.frequency for item in request.items]
        items = self._cards.precedents(request.dataset, frequencies, of=request.account, without=request.id)
        names = {id_: account.name for id_, account in self._accounts.find_all(item.account for item in items).items()}
        return [
            Precedent.model_validate(
                {
                    **item.model_dump(),
                    "request": item.request_id,
                    "outcome": item.status,
                    "note": note_for(caller, item),
                    "account_name": names.get(item.account),
                }
            )
            for item in items
        ]


def _seconds_left(request: RequestOut, now: datetime) -> int | None:
    return max(0, int((request.lapse_at - now).total_seconds())) if request.status == "pending" else None
