"""Puts the use cases of runs together."""

from typing import Annotated

from fastapi import Depends

from services.pricing.feeds.runs import RunService
from shared.application import Transaction
from shared.clock import DatabaseClock


def _runs(session: Transaction) -> RunService:
    return RunService(session, DatabaseClock())


Runs = Annotated[RunService, Depends(_runs)]
