"""One's own coverage over HTTP."""

from fastapi import APIRouter

from services.pricing.coverage.policy import coverage_of
from services.pricing.coverage.providers import KnownElsewhere, Stored
from services.pricing.coverage.schemas import OwnCoverage

router = APIRouter(prefix="/v1/me", tags=["Me"])


@router.get("/coverage", summary="Show what I may read", operation_id="getOwnCoverage")
def get_own_coverage(known: KnownElsewhere, stored: Stored) -> OwnCoverage:
    """Every frequency of every dataset on offer: how it stands with your access, and what there is to read.

    Where you have none, `predictions` says what the vendor's rules would answer if you asked for it now.
    """
    return OwnCoverage(data=coverage_of(known, stored.ends()))
