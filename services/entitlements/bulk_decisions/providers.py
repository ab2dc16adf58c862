"""Puts bulk decisions together."""

from typing import Annotated

from fastapi import Depends

from services.entitlements.bulk_decisions.service import BulkDecisionService
from shared.application import Transaction, Transactions
from shared.clock import DatabaseClock


# the transaction around them only keeps the answer for a repeat: it takes no connection unless one may come
def _decisions(transactions: Transactions, _kept: Transaction) -> BulkDecisionService:
    return BulkDecisionService(transactions, DatabaseClock())


BulkDecisions = Annotated[BulkDecisionService, Depends(_decisions)]
