"""Requests over HTTP."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, Query, Request, Response

from services.entitlements.requests.providers import Offers, Requests
from services.entitlements.requests.schemas import (
    NewRequest,
    OpsRequestOut,
    RequestList,
    RequestOut,
    RequestsQuery,
)
from services.entitlements.requests.source import Offer
from shared.pagination import cursors_of, cut, link_next
from shared.principal import Caller

router = APIRouter(prefix="/v1/access-requests", tags=["Requests"])


# asked before the transaction is opened: no connection waits for a neighbour
async def _offer(new: NewRequest, offers: Offers) -> Offer | None:
    return await offers.find(new.dataset)


@router.post("", status_code=201, summary="Ask for access", operation_id="createAccessRequest")
def create_request(
    new: NewRequest,
    offer: Annotated[Offer | None, Depends(_offer)],
    requests: Requests,
    caller: Caller,
    response: Response,
) -> OpsRequestOut | RequestOut:
    """Asks for one or more frequencies of a dataset. Those already granted or pending come back in `skipped`."""
    request = requests.create(new, offer, caller)
    response.headers["Location"] = f"/v1/access-requests/{request.id}"
    return request


@router.get("", summary="List requests", operation_id="listAccessRequests")
def list_requests(
    requests: Requests, query: Annotated[RequestsQuery, Query()], caller: Caller, request: Request, response: Response
) -> RequestList:
    """Your own requests; Ops sees all accounts'. `status=pending` is Ops' work list. Oldest first."""
    cursors, scope = cursors_of(request), f"access-requests:{caller.account}"
    after = UUID(cursors.load(scope, query.cursor)) if query.cursor else None
    rows, more = cut(requests.page(query, caller, after=after, limit=query.limit + 1), query.limit)
    cursor = cursors.dump(scope, rows[-1].id) if more else None
    link_next(request, response, cursor)
    return RequestList(data=list(rows), next_cursor=cursor)
