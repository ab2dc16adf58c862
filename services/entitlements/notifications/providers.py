"""Puts the inbox together."""

from typing import Annotated

from fastapi import Depends

from services.entitlements.notifications.service import InboxService
from shared.application import Transaction
from shared.clock import DatabaseClock
from shared.principal import Caller


def _inbox(session: Transaction, caller: Caller) -> InboxService:
    return InboxService(session, DatabaseClock(), caller)


Inbox = Annotated[InboxService, Depends(_inbox)]
