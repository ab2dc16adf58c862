"""What the worker does with an event: it puts it into the recipient's inbox."""

from sqlalchemy.orm import Session

from services.entitlements.notifications.repository import NotificationRepository
from shared.outbox import Event


def notify(session: Session, event: Event) -> None:
    """One notification for the event's recipient."""
    NotificationRepository(session).add(
        event_id=event.id,
        recipient=event.payload["recipient"],
        type_=event.type,
        data=event.payload["data"],
        created_at=event.created_at,
    )
