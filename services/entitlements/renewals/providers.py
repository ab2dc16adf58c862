"""Puts extending together."""

from typing import Annotated

from fastapi import Depends

from services.entitlements.renewals.service import RenewalService
from shared.application import Transaction
from shared.clock import DatabaseClock


def _renewals(session: Transaction) -> RenewalService:
    return RenewalService(session, DatabaseClock())


Renewals = Annotated[RenewalService, Depends(_renewals)]
