"""Usage over HTTP."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query, Request, Response

from services.pricing.usage.providers import Usages
from services.pricing.usage.schemas import UsageList, UsageOut, UsageQuery
from shared.pagination import cursors_of, cut, link_next

router = APIRouter(prefix="/v1/usage", tags=["Usage"])


@router.get("", summary="Show who reads how much", operation_id="listUsage")
def list_usage(
    usages: Usages, query: Annotated[UsageQuery, Query()], request: Request, response: Response
) -> UsageList:
    """What every account has read of every cell in the last 30 days; a read shows a few seconds later."""
    cursors, scope = cursors_of(request), f"usage/{query.account}/{query.dataset}"
    after = None
    if query.cursor:
        account, dataset, frequency = cursors.load(scope, query.cursor)
        after = UUID(account), dataset, frequency
    found = usages.page(account=query.account, dataset=query.dataset, after=after, limit=query.limit + 1)
    rows, more = cut(found, query.limit)
    last = rows[-1] if more else None
    cursor = cursors.dump(scope, [last["account"], last["dataset"], last["frequency"]]) if last else None
    link_next(request, response, cursor)
    return UsageList(data=[UsageOut.model_validate(dict(row)) for row in rows], next_cursor=cursor)
