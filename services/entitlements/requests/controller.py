"""Requests over HTTP."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query, Request, Response

from services.entitlements.requests.providers import Requests
from services.entitlements.requests.schemas import (
    RequestList,
    RequestsQuery,
)
from shared.pagination import cursors_of, cut, link_next
from shared.principal import Caller

router = APIRouter(prefix="/v1/access-requests", tags=["Requests"])


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
