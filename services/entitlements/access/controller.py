"""What pricing asks before every answer."""

from typing import Annotated

from fastapi import APIRouter, Query

from services.entitlements.access.schemas import AccessOut, AccessQuery
from services.entitlements.access.service import AccessService
from shared.application import Transaction
from shared.clock import DatabaseClock

internal = APIRouter(prefix="/internal", include_in_schema=False)


@internal.get("/may")
def may(query: Annotated[AccessQuery, Query()], session: Transaction) -> AccessOut:
    """Whether an account may read a cell now."""
    return AccessService(session, DatabaseClock()).may(query)
