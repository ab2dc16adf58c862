"""What pricing asks for somebody's coverage."""

from fastapi import APIRouter

from services.entitlements.coverage.providers import Coverages
from services.entitlements.coverage.schemas import CellOut, CellsQuestion

internal = APIRouter(prefix="/internal", include_in_schema=False)


@internal.post("/cells")
def cells(question: CellsQuestion, coverages: Coverages) -> list[CellOut]:
    """How it stands with each of these cells for an account; a question that needs a body, as there are many."""
    return coverages.cells(question)
