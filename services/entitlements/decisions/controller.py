"""Decisions over HTTP."""

from uuid import UUID

from fastapi import APIRouter

from services.entitlements.decisions.providers import Decisions
from services.entitlements.decisions.schemas import Decision
from services.entitlements.requests.providers import Requests
from services.entitlements.requests.schemas import OpsRequestOut, RequestOut
from shared.principal import Caller

router = APIRouter(prefix="/v1/access-requests", tags=["Requests"])


@router.post("/{id}/decisions", summary="Decide a request", operation_id="decideAccessRequest")
def decide_request(
    id: UUID,  # noqa: A002
    decision: Decision,
    decisions: Decisions,
    requests: Requests,
    caller: Caller,
) -> OpsRequestOut | RequestOut:
    """Approves or refuses frequencies of a request, all or nothing; what is left out stays pending.

    An approval gives access from now, or from `starts_at`, to the moment its term ends. The Quant is told.
    """
    decisions.decide(id, decision, caller)
    return requests.find(id, caller)
