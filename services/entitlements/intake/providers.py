"""Puts the intake together."""

from typing import Annotated

from fastapi import Depends

from services.entitlements.intake.service import IntakeService
from shared.application import Transaction
from shared.clock import DatabaseClock


def _intake(session: Transaction) -> IntakeService:
    return IntakeService(session, DatabaseClock())


Intake = Annotated[IntakeService, Depends(_intake)]
