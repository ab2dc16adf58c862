"""Puts withdrawing together."""

from typing import Annotated

from fastapi import Depends

from services.entitlements.withdrawals.service import WithdrawalService
from shared.application import Transaction
from shared.clock import DatabaseClock


def _withdrawals(session: Transaction) -> WithdrawalService:
    return WithdrawalService(session, DatabaseClock())


Withdrawals = Annotated[WithdrawalService, Depends(_withdrawals)]
