"""One request over HTTP, with what helps to decide it."""

from uuid import UUID

from fastapi import APIRouter

from services.entitlements.cards.providers import Cards
from services.entitlements.cards.schemas import OpsRequestCard
from services.entitlements.requests.schemas import RequestOut
from shared.principal import Caller

router = APIRouter(prefix="/v1/access-requests", tags=["Requests"])


@router.get("/{id}", summary="Show a request", operation_id="getAccessRequest")
def get_request(id: UUID, cards: Cards, caller: Caller) -> OpsRequestCard | RequestOut:  # noqa: A002
    """One request of yours. For Ops any account's, with a `card`: what the requester holds and held, what became of
    earlier requests, how the same was decided before, and how long is left.
    """
    return cards.find(id, caller)
