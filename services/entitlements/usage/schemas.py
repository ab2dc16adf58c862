"""A report of usage, from our own services."""

import datetime as dt
from uuid import UUID

from pydantic import AwareDatetime, Field

from services.entitlements.grants.schemas import Code, Symbol
from shared.wire import Input


class Reading(Input):
    """All that an account was handed of a cell on a day so far, which only ever grows.

    What pricing counts of a dataset beside its frequencies it counts under a name in the frequency's place.
    """

    account: UUID
    dataset: Symbol
    frequency: Code
    day: dt.date
    rows: int = Field(ge=0)
    last_read_at: AwareDatetime


class Report(Input):
    """Counts that have grown; the same one twice, or an older one later, changes nothing."""

    data: list[Reading] = Field(max_length=1000)
