"""Grants over HTTP."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query, Request, Response

from services.entitlements.grants.providers import Grants
from services.entitlements.grants.schemas import GrantList, GrantOut, GrantsQuery, OpsGrantOut
from shared.pagination import cursors_of, cut, link_next
from shared.principal import Caller

router = APIRouter(prefix="/v1/grants", tags=["Grants"])


@router.get("", summary="List grants", operation_id="listGrants")
def list_grants(
    grants: Grants, query: Annotated[GrantsQuery, Query()], caller: Caller, request: Request, response: Response
) -> GrantList:
    """Your own grants, whatever their status; Ops sees all accounts'. Oldest first."""
    cursors, scope = cursors_of(request), f"grants:{caller.account}"
    after = UUID(cursors.load(scope, query.cursor)) if query.cursor else None
    rows, more = cut(grants.page(query, caller, after=after, limit=query.limit + 1), query.limit)
    cursor = cursors.dump(scope, rows[-1].id) if more else None
    link_next(request, response, cursor)
    return GrantList(data=list(rows), next_cursor=cursor)


@router.get("/{id}", summary="Show a grant", operation_id="getGrant")
def get_grant(id: UUID, grants: Grants, caller: Caller) -> OpsGrantOut | GrantOut:  # noqa: A002
    """One grant of yours, or of any account for Ops."""
    return grants.find(id, caller)
