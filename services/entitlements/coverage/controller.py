"""What pricing asks for somebody's coverage."""

from fastapi import APIRouter

from services.entitlements.coverage.schemas import CellOut, CellsQuestion
from services.entitlements.coverage.service import CoverageService
from shared.application import Transaction
from shared.clock import DatabaseClock

internal = APIRouter(prefix="/internal", include_in_schema=False)


@internal.post("/cells")
def cells(question: CellsQuestion, session: Transaction) -> list[CellOut]:
    """How it stands with each of these cells for an account; a question that needs a body, as there are many."""
    return CoverageService(session, DatabaseClock()).cells(question)
