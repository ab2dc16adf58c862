"""Puts direct grants together."""

from typing import Annotated

from fastapi import Depends

from services.entitlements.direct_grants.service import DirectGrantService
from shared.application import Transaction
from shared.clock import DatabaseClock


def _direct_grants(session: Transaction) -> DirectGrantService:
    return DirectGrantService(session, DatabaseClock())


DirectGrants = Annotated[DirectGrantService, Depends(_direct_grants)]
