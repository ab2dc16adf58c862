"""Puts deciding together."""

from typing import Annotated

from fastapi import Depends

from services.entitlements.decisions.service import DecisionService
from shared.application import Transaction
from shared.clock import DatabaseClock


def _decisions(session: Transaction) -> DecisionService:
    return DecisionService(session, DatabaseClock())


Decisions = Annotated[DecisionService, Depends(_decisions)]
