"""Direct grants on the wire."""

from uuid import UUID

from pydantic import Field

from services.entitlements.grants.schemas import OpsGrantOut, Symbol, Terms
from services.entitlements.requests.schemas import Frequencies
from shared.wire import Output, Text


class DirectGrant(Terms):
    """To whom, for what, for how long and why."""

    account: UUID
    dataset: Symbol = Field(examples=["BTC"])
    frequencies: Frequencies
    reason: Text = Field(examples=["Signed contract"])


class GrantsGiven(Output):
    """The new grants, one for each frequency."""

    data: list[OpsGrantOut]
