"""Withdrawals on the wire."""

from pydantic import ConfigDict, Field

from services.entitlements.requests.schemas import Frequencies
from shared.wire import Input


class Withdrawal(Input):
    """What is taken back."""

    model_config = ConfigDict(json_schema_extra={"examples": [{}, {"frequencies": ["1h"]}]})

    frequencies: Frequencies | None = Field(default=None, description="All that is undecided, unless said.")
