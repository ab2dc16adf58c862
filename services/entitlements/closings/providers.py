"""Puts closing together."""

from typing import Annotated

from fastapi import Depends

from services.entitlements.closings.service import ClosingService
from shared.application import Transaction
from shared.clock import DatabaseClock


def _closings(session: Transaction) -> ClosingService:
    return ClosingService(session, DatabaseClock())


Closings = Annotated[ClosingService, Depends(_closings)]
