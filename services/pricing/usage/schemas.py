"""Usage on the wire."""

import datetime as dt
from uuid import UUID

from pydantic import Field

from shared.pagination import Page
from shared.wire import Output


class UsageQuery(Page):
    """The query of usage."""

    account: UUID | None = Field(default=None, description="Only this account's.")
    dataset: str | None = Field(default=None, pattern=r"^[A-Z0-9]{1,12}$", description="Only of this dataset.")


class UsageOut(Output):
    """What an account has read of a cell in the last 30 days."""

    account: UUID
    account_name: str = Field(examples=["Research desk"])
    dataset: str = Field(examples=["BTC"])
    frequency: str = Field(examples=["1h"])
    rows: int = Field(description="Bars handed out, today included.", examples=[72_000])
    last_read_at: dt.datetime = Field(examples=["2026-01-31T20:00:00Z"])


class UsageList(Output):
    """A page of usage, by account, dataset and frequency."""

    data: list[UsageOut]
    next_cursor: str | None = Field(default=None, examples=[None])
