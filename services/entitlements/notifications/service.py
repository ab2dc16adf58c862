"""What can be done with an inbox: read it, mark what was read, and hear what comes."""

from collections.abc import AsyncIterator
from uuid import UUID

from sqlalchemy.orm import Session

from services.entitlements.notifications.entities import Notification
from services.entitlements.notifications.errors import NotificationNotFound
from services.entitlements.notifications.events import OPS
from services.entitlements.notifications.repository import NotificationRepository
from services.entitlements.notifications.schemas import NotificationOut
from shared.clock import Clock, DatabaseClock
from shared.errors import TemporarilyUnavailable
from shared.principal import Principal
from shared.streams import Listener, Streams

PAGE = 100


class InboxService:
    """One caller's inbox: what was sent to the account, and to its role."""

    def __init__(self, session: Session, clock: Clock, caller: Principal) -> None:
        self._session = session
        self._clock = clock
        self._account = caller.account_id
        self._recipients = recipients_of(caller)
        self._notifications = NotificationRepository(session)

    def page(self, *, after: UUID | None, unread: bool, limit: int) -> list[NotificationOut]:
        """Notifications, oldest first."""
        rows = self._notifications.page(self._recipients, self._account, after=after, unread=unread, limit=limit)
        return [_describe(row[0], row[1]) for row in rows]

    def mark_read(self, notification: UUID) -> NotificationOut:
        """Mark one as read by this account; raises NotificationNotFound."""
        found = self._notifications.find(notification, self._recipients)
        if found is None:
            raise NotificationNotFound
        return _describe(
            found, self._notifications.mark_read(notification, self._account, self._clock.now(self._session))
        )


class InboxStream:
    """What comes into one caller's inboxes, for as long as somebody listens; no session is held in between."""

    def __init__(self, streams: Streams, listener: Listener, caller: Principal) -> None:
        self._streams = streams
        self._listener = listener
        self._caller = caller
        self._after: UUID | None = None

    async def begin(self, *, after: UUID | None) -> None:
        """Go on after the given notification, or begin with what comes from now on: before an answer has begun.

        Raises TemporarilyUnavailable.
        """
        self._after = after or await self._streams.read(lambda session: NotificationRepository(session).newest())
        if self._after is None:
            raise TemporarilyUnavailable

    async def notifications(self) -> AsyncIterator[NotificationOut | None]:
        """Each notification once; None now and then while there is no news."""
        while self._listener.listen():
            page = await self._streams.read(self._next_page)
            for notification in page or ():
                yield notification
                self._after = notification.id
            if not page and not await self._listener.wait():
                yield None

    def _next_page(self, session: Session) -> list[NotificationOut]:
        inbox = InboxService(session, DatabaseClock(), self._caller)
        return inbox.page(after=self._after, unread=False, limit=PAGE)


def recipients_of(caller: Principal) -> list[str]:
    """The inboxes that somebody reads: the account's, and that of all Ops."""
    return [str(caller.account_id), *([OPS] if caller.is_ops else [])]


def _describe(notification: Notification, read_at: object) -> NotificationOut:
    return NotificationOut.model_validate({**notification.model_dump(), "read_at": read_at})
