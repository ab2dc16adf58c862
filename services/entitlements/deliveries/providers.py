"""Puts the deliveries together."""

from services.entitlements.deliveries.service import DeliveryService
from services.entitlements.settings import EntitlementsSettings
from services.entitlements.webhooks.secrets import WebhookSecrets
from services.entitlements.webhooks.source import HttpReceiver
from shared.clock import DatabaseClock


def deliveries(settings: EntitlementsSettings) -> DeliveryService:
    """What the worker brings events to webhooks with."""
    receiver = HttpReceiver(anywhere=settings.webhooks_anywhere)
    return DeliveryService(DatabaseClock(), WebhookSecrets(settings.webhook_key), receiver)
