"""Asking for access over HTTP."""

from typing import Annotated

from fastapi import APIRouter, Depends, Response

from services.entitlements.intake.providers import Intake
from services.entitlements.intake.schemas import PreviewOut
from services.entitlements.requests.providers import Offers
from services.entitlements.requests.schemas import NewRequest, OpsRequestOut, RequestOut
from services.entitlements.requests.source import Offer
from shared.principal import Caller

router = APIRouter(prefix="/v1/access-requests", tags=["Requests"])


# asked before the transaction is opened: no connection waits for a neighbour
async def _offer(new: NewRequest, offers: Offers) -> Offer | None:
    return await offers.find(new.dataset)


@router.post("", status_code=201, summary="Ask for access", operation_id="createAccessRequest")
def create_request(
    new: NewRequest,
    offer: Annotated[Offer | None, Depends(_offer)],
    intake: Intake,
    caller: Caller,
    response: Response,
) -> OpsRequestOut | RequestOut:
    """Asks for one or more frequencies of a dataset. Those already granted or pending come back in `skipped`.

    What the vendor's rules can answer is answered at once; Ops decides the rest. Access that is held may be asked for
    anew near its end (a renewal), a trial at any time (an upgrade).
    """
    request = intake.create(new, offer, caller)
    response.headers["Location"] = f"/v1/access-requests/{request.id}"
    return request


@router.post("/preview", summary="Preview a request", operation_id="previewAccessRequest")
def preview_request(
    new: NewRequest, offer: Annotated[Offer | None, Depends(_offer)], intake: Intake, caller: Caller
) -> PreviewOut:
    """Says what asking would be answered with now, by the same means, refusals included. Nothing is written."""
    return intake.preview(new, offer, caller)
