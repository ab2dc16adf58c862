"""Who is calling: a person's or a machine's account with its role, or one of our own services."""

from dataclasses import dataclass
from typing import Annotated, Literal
from uuid import UUID

from fastapi import Depends, Request

Role = Literal["anonymous", "quant", "ops", "admin", "service"]


@dataclass(frozen=True)
class Principal:
    """An identity that was proven: by an API key at the gateway, or by a service's own signature."""

    role: Role
    name: str
    account: UUID | None = None
    key: str | None = None

    @property
    def is_ops(self) -> bool:
        """Whether it may act for the vendor."""
        return self.role in ("ops", "admin")

    @property
    def account_id(self) -> UUID:
        """The account; only rows that admit a key lead here, so there is one."""
        if self.account is None:
            raise LookupError("an operation that needs an account admits callers without one")
        return self.account


async def _caller(request: Request) -> Principal:
    principal: Principal = request.scope["principal"]
    return principal


Caller = Annotated[Principal, Depends(_caller)]
