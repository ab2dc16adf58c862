"""Puts coverage together."""

from typing import Annotated

from fastapi import Depends

from services.entitlements.coverage.service import CoverageService
from shared.application import Transaction
from shared.clock import DatabaseClock
from shared.database import of_one_snapshot


def _coverage(session: Transaction) -> CoverageService:
    return CoverageService(of_one_snapshot(session), DatabaseClock())


Coverages = Annotated[CoverageService, Depends(_coverage)]
