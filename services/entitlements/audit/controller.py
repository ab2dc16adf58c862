"""The audit trails over HTTP, for Ops."""

from typing import Annotated

from fastapi import APIRouter, Query, Request, Response

from services.entitlements.audit.providers import Found, Verified, scope_of
from services.entitlements.audit.schemas import AuditQuery, EventList
from shared.pagination import cursors_of, cut, link_next
from shared.seals import Verdict

router = APIRouter(prefix="/v1/audit-events", tags=["Audit"])


@router.get("", summary="List what was done", operation_id="listAuditEvents")
def list_audit_events(
    found: Found, query: Annotated[AuditQuery, Query()], request: Request, response: Response
) -> EventList:
    """Who did what to which thing, oldest first: ids and codes only, never names or free text. Nothing here is ever
    changed; `GET /v1/audit-events/verify` proves it.

    Acts are numbered as they begin and show as they are done, so one may show after a later one: who follows a trail
    asks again for what is `after` a minute before the last event that was seen.
    """
    rows, more = cut(found, query.limit)
    cursor = cursors_of(request).dump(scope_of(query), rows[-1].id) if more else None
    link_next(request, response, cursor)
    return EventList(data=list(rows), next_cursor=cursor)


@router.get("/verify", summary="Verify what was recorded", operation_id="verifyAuditEvents")
def verify_audit_events(verdict: Verified) -> Verdict:
    """Goes through the hash chain of a trail: `ok`, or the first event that is not as it was sealed.

    Events are sealed within seconds. `head` is the chain's last hash: who notes it elsewhere and sends it later is
    told whether what it stood for was taken away or rewritten. More than some hundred thousand events take longer
    than a request may: the command `tickgate audit verify` goes through any number.
    """
    return verdict
