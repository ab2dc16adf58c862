"""What pricing asks before every answer."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query

from services.entitlements.access.schemas import AccessOut, AccessQuery, CellOut
from services.entitlements.access.service import AccessService
from shared.application import Transaction
from shared.clock import DatabaseClock

internal = APIRouter(prefix="/internal", include_in_schema=False)


@internal.get("/may")
def may(query: Annotated[AccessQuery, Query()], session: Transaction) -> AccessOut:
    """Whether an account may read a cell now."""
    return AccessService(session, DatabaseClock()).may(query)


@internal.get("/cells")
def cells(account: UUID, session: Transaction) -> list[CellOut]:
    """How it stands with every cell of an account that has a history."""
    return AccessService(session, DatabaseClock()).cells(account)
