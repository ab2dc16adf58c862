"""The inbox over HTTP."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query, Request, Response

from services.entitlements.notifications.providers import Inbox
from services.entitlements.notifications.schemas import InboxQuery, NotificationList, NotificationOut
from shared.pagination import cursors_of, cut, link_next
from shared.principal import Caller

router = APIRouter(prefix="/v1/notifications", tags=["Notifications"])


@router.get("", summary="Read the inbox", operation_id="listNotifications")
def list_notifications(
    inbox: Inbox, query: Annotated[InboxQuery, Query()], caller: Caller, request: Request, response: Response
) -> NotificationList:
    """What you were told, oldest first; Ops also sees what was told to all of Ops."""
    cursors, scope = cursors_of(request), f"notifications:{caller.account}"
    after = UUID(cursors.load(scope, query.cursor)) if query.cursor else query.after
    rows, more = cut(inbox.page(after=after, unread=query.unread, limit=query.limit + 1), query.limit)
    cursor = cursors.dump(scope, rows[-1].id) if more else None
    link_next(request, response, cursor)
    return NotificationList(data=list(rows), next_cursor=cursor)


@router.post("/{id}/read", summary="Mark a notification as read", operation_id="readNotification")
def read_notification(id: UUID, inbox: Inbox) -> NotificationOut:  # noqa: A002
    """Marks it for your account only; the first mark stays."""
    return inbox.mark_read(id)
