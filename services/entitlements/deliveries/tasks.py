"""What the worker does for webhooks: each notification becomes their deliveries, and each delivery is an errand."""

from datetime import timedelta

from sqlalchemy.orm import Session

from services.entitlements.deliveries.providers import deliveries
from services.entitlements.deliveries.service import send_to_webhooks
from services.entitlements.notifications.tasks import notify
from services.entitlements.settings import EntitlementsSettings
from services.entitlements.webhooks.events import TOLD
from services.entitlements.webhooks.service import DUE
from shared.outbox import Errand, Event, Task
from shared.settings import ServiceSettings

LEASE = timedelta(seconds=60)


def tell(session: Session, event: Event) -> None:
    """Into the inbox, and on its way to the webhooks, together."""
    notify(session, event)
    send_to_webhooks(session, event)


def errands(settings: ServiceSettings) -> dict[str, Errand]:
    """What has its effect at somebody else's."""
    if not isinstance(settings, EntitlementsSettings):
        raise TypeError("the entitlements' settings")
    return {DUE: Errand(deliveries(settings).attempt, LEASE)}


tasks: dict[str, Task] = dict.fromkeys(TOLD, tell)
