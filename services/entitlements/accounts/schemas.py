"""Accounts on the wire."""

from typing import Literal
from uuid import UUID

from pydantic import Field

from shared.wire import Output


class AccountOut(Output):
    """An account and its standing."""

    id: UUID
    name: str = Field(examples=["Research desk"])
    role: Literal["quant", "ops", "admin"]
    standing: Literal["good", "blocked", "closed"] = "good"


class AccountList(Output):
    """A page of accounts, oldest first."""

    data: list[AccountOut]
    next_cursor: str | None = None
