"""Puts the grants' use cases together."""

from typing import Annotated

from fastapi import Depends

from services.entitlements.grants.service import GrantService
from shared.application import Transaction
from shared.clock import DatabaseClock


def _grants(session: Transaction) -> GrantService:
    return GrantService(session, DatabaseClock())


Grants = Annotated[GrantService, Depends(_grants)]
