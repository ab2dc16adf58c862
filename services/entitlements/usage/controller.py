"""What pricing reports."""

from fastapi import APIRouter

from services.entitlements.usage.repository import UsageRepository
from services.entitlements.usage.schemas import Report
from shared.application import Transaction

internal = APIRouter(prefix="/internal", include_in_schema=False)


@internal.post("/usage", status_code=204)
def report_usage(report: Report, session: Transaction) -> None:
    """Keeps what was counted for those who decide; may be said any number of times, in any order."""
    UsageRepository(session).raise_to(report.data)
