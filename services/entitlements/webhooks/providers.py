"""Puts the webhooks together."""

from typing import Annotated

from fastapi import Depends, Request

from services.entitlements.settings import EntitlementsSettings
from services.entitlements.webhooks.secrets import WebhookSecrets
from services.entitlements.webhooks.service import WebhookService
from shared.application import Transaction
from shared.clock import DatabaseClock
from shared.principal import Caller


def _webhooks(request: Request, session: Transaction, caller: Caller) -> WebhookService:
    settings: EntitlementsSettings = request.app.state.settings
    secrets = WebhookSecrets(settings.webhook_key)
    return WebhookService(session, DatabaseClock(), secrets, caller, anywhere=settings.webhooks_anywhere)


Webhooks = Annotated[WebhookService, Depends(_webhooks)]
