"""Simulations over HTTP."""

from fastapi import APIRouter

from services.entitlements.simulations.providers import Simulations
from services.entitlements.simulations.schemas import Simulation, SimulationOut
from shared.principal import Caller

router = APIRouter(prefix="/v1/rules/simulate", tags=["Rules"])


@router.post("", summary="Try rules on the past", operation_id="simulateRules")
def simulate_rules(wanted: Simulation, simulations: Simulations, caller: Caller) -> SimulationOut:
    """Asks a draft of rules about past requests, as they were then, and says what it would have answered.

    `contradicted` lists decisions of Ops that the draft would have made the other way round, `changed` the items about
    which the rules of the time said something else. Nothing is written, nothing is decided anew.
    """
    return simulations.simulate(wanted, caller)
