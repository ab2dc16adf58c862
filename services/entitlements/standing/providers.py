"""Puts the changes of standing together."""

from typing import Annotated

from fastapi import Depends

from services.entitlements.standing.service import StandingService
from shared.application import Transaction
from shared.clock import DatabaseClock


def _standings(session: Transaction) -> StandingService:
    return StandingService(session, DatabaseClock())


Standings = Annotated[StandingService, Depends(_standings)]
