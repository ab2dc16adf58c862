"""Puts simulating together."""

from typing import Annotated

from fastapi import Depends

from services.entitlements.simulations.service import SimulationService
from shared.application import Transaction


def _simulations(session: Transaction) -> SimulationService:
    return SimulationService(session)


Simulations = Annotated[SimulationService, Depends(_simulations)]
