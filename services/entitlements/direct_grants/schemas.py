"""Direct grants on the wire."""

from uuid import UUID

from pydantic import ConfigDict, Field

from services.entitlements.grants.schemas import ONE_END, OpsGrantOut, Symbol, Terms
from services.entitlements.requests.schemas import Frequencies
from shared.wire import Output, Text


class DirectGrant(Terms):
    """To whom, for what, for how long and why."""

    model_config = ConfigDict(
        json_schema_extra={
            "anyOf": ONE_END,
            "examples": [
                {
                    "account": "0198c5d2-5b7e-7c3a-9f10-3f6f3f0f9a11",
                    "dataset": "BTC",
                    "frequencies": ["1h", "1d"],
                    "duration_days": 90,
                    "reason": "Signed contract",
                }
            ],
        }
    )

    account: UUID
    dataset: Symbol = Field(examples=["BTC"])
    frequencies: Frequencies
    reason: Text = Field(examples=["Signed contract"])


class GrantsGiven(Output):
    """The new grants, one for each frequency."""

    data: list[OpsGrantOut]
