"""Reads and writes the inbox's rows."""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Row, and_, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session
from sqlmodel import col, select

from services.entitlements.notifications.entities import Inbox, InboxOrder, Notification, NotificationRead
from shared.ids import new_id


class NotificationRepository:
    """The inboxes in one transaction."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def add(self, *, event_id: UUID, recipient: str, type_: str, data: dict[str, Any], created_at: datetime) -> None:
        """Put an event into an inbox, unless it is there already."""
        there = select(Notification.id).where(Notification.event_id == event_id, Notification.recipient == recipient)
        if self._session.execute(there).first() is not None:
            return
        number = self._next_number(recipient)
        notification = Notification(
            id=self._next_id(),
            event_id=event_id,
            recipient=recipient,
            number=number,
            type=type_,
            data=data,
            created_at=created_at,
        )
        self._session.add(notification)
        self._session.flush()

    def _next_number(self, recipient: str) -> int:
        """The inbox's next number; its row is held until the commit, so that numbers appear in order."""
        count = insert(Inbox).values(recipient=recipient, last_number=1)
        count = count.on_conflict_do_update(
            index_elements=["recipient"], set_={"last_number": col(Inbox.last_number) + 1}
        )
        return self._session.execute(count.returning(col(Inbox.last_number))).scalar_one()

    def _next_id(self) -> UUID:
        """An id after all others, whatever this host's clock says: readers go on after the last one they saw."""
        last = self._session.scalars(select(InboxOrder.last_id).with_for_update()).one()
        id_ = max(new_id(), UUID(int=last.int + 1))
        self._session.execute(update(InboxOrder).values(last_id=id_))
        return id_

    def page(
        self, recipients: Sequence[str], account: UUID, *, after: UUID | None, unread: bool, limit: int
    ) -> Sequence[Row[Notification, datetime | None]]:
        """Notifications of these recipients with the account's read marks, oldest first."""
        mark = and_(col(NotificationRead.notification_id) == Notification.id, col(NotificationRead.account) == account)
        query = (
            select(Notification, NotificationRead.read_at)
            .join(NotificationRead, mark, isouter=True)
            .where(col(Notification.recipient).in_(recipients))
            .order_by(col(Notification.id))
            .limit(limit)
        )
        if after is not None:
            query = query.where(col(Notification.id) > after)
        if unread:
            query = query.where(col(NotificationRead.read_at).is_(None))
        return self._session.execute(query).all()

    def newest(self) -> UUID:
        """The id after which everything is news."""
        return self._session.scalars(select(InboxOrder.last_id)).one()

    def find(self, notification: UUID, recipients: Sequence[str]) -> Notification | None:
        """A notification of one of these recipients."""
        query = select(Notification).where(Notification.id == notification, col(Notification.recipient).in_(recipients))
        return self._session.scalars(query).first()

    def mark_read(self, notification: UUID, account: UUID, at: datetime) -> datetime:
        """Mark it read by the account; the first mark stays."""
        mark = insert(NotificationRead).values(notification_id=notification, account=account, read_at=at)
        self._session.execute(mark.on_conflict_do_nothing())
        query = select(NotificationRead.read_at).where(
            NotificationRead.notification_id == notification, NotificationRead.account == account
        )
        return self._session.execute(query).scalar_one()


def newest_numbers(session: Session, recipients: Collection[str]) -> Mapping[str, int]:
    """The number of the newest notification in each of these inboxes that hold one."""
    query = select(Inbox.recipient, Inbox.last_number).where(col(Inbox.recipient).in_(recipients))
    return {row[0]: row[1] for row in session.execute(query)}
