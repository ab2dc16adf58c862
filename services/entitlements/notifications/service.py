"""What can be done with an inbox: read it, and mark what was read."""

from uuid import UUID

from sqlalchemy.orm import Session

from services.entitlements.notifications.entities import Notification
from services.entitlements.notifications.errors import NotificationNotFound
from services.entitlements.notifications.events import OPS
from services.entitlements.notifications.repository import NotificationRepository
from services.entitlements.notifications.schemas import NotificationOut
from shared.clock import Clock
from shared.principal import Principal


class InboxService:
    """One caller's inbox: what was sent to the account, and to its role."""

    def __init__(self, session: Session, clock: Clock, caller: Principal) -> None:
        self._session = session
        self._clock = clock
        self._account = caller.account_id
        self._recipients = [str(self._account), *([OPS] if caller.is_ops else [])]
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


def _describe(notification: Notification, read_at: object) -> NotificationOut:
    return NotificationOut.model_validate({**notification.model_dump(), "read_at": read_at})
