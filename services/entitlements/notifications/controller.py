"""The inbox over HTTP."""

from collections.abc import AsyncIterator
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Header, Query, Request, Response
from fastapi.responses import StreamingResponse

from services.entitlements.notifications.providers import Inbox, Stream
from services.entitlements.notifications.schemas import InboxQuery, NotificationList, NotificationOut
from services.entitlements.notifications.service import InboxStream
from shared.pagination import cursors_of, cut, link_next
from shared.principal import Caller
from shared.streams import event_text

MEDIA_TYPE = "text/event-stream"
EXAMPLE: dict[str, Any] = {
    "schema": {"type": "string"},
    "example": event_text(
        id_="0198c5d2-5b7e-7c3a-9f10-3f6f3f0f9a11",
        type_="access.decided",
        data='{"id":"0198c5d2-5b7e-7c3a-9f10-3f6f3f0f9a11","type":"access.decided",'
        '"created_at":"2026-01-31T20:00:00Z","read_at":null,"data":{"dataset":"BTC"}}',
    ),
}
LastEventId = Annotated[
    UUID | None, Header(description="The id of the last event that you got; what came after it is sent first.")
]
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


@router.get(
    "/stream",
    summary="Hear of things as they happen",
    operation_id="streamNotifications",
    response_class=StreamingResponse,
    responses={200: {"description": "Events, until either side hangs up.", "content": {MEDIA_TYPE: EXAMPLE}}},
)
async def stream_notifications(stream: Stream, last_event_id: LastEventId = None) -> StreamingResponse:
    """Server-sent events: each notification, as `GET /v1/notifications` shows it, with its id and type.

    It begins with what comes after `Last-Event-ID`, or from now on; a comment every four seconds says that the line is
    alive. A key has at most five streams, counted by each process that serves them; they end when the key does. An end
    is no loss: go on with `Last-Event-ID`.
    """
    await stream.begin(after=last_event_id)
    return StreamingResponse(_lines(stream), media_type=MEDIA_TYPE, headers={"X-Accel-Buffering": "no"})


async def _lines(stream: InboxStream) -> AsyncIterator[str]:
    yield "retry: 1000\n\n"
    async for told in stream.notifications():
        yield event_text(id_=told.id, type_=told.type, data=told.model_dump_json()) if told else ":\n\n"


@router.post("/{id}/read", summary="Mark a notification as read", operation_id="readNotification")
def read_notification(id: UUID, inbox: Inbox) -> NotificationOut:  # noqa: A002
    """Marks it for your account only; the first mark stays."""
    return inbox.mark_read(id)
