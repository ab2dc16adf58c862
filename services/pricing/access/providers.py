"""Puts the questions to the neighbours together, as dependencies that take no thread and no connection."""

from functools import partial
from typing import Annotated
from uuid import UUID

from fastapi import Depends, Request

from services.pricing.access.schemas import OfferedDataset
from services.pricing.access.source import Access
from shared.principal import Principal


def access_of(request: Request) -> Access:
    """The neighbours of the service that serves this request."""
    neighbours, memory = request.app.state.neighbours, request.app.state.memories["entitlements"]
    asked = {"catalog": neighbours["catalog"], "entitlements": neighbours["entitlements"]}
    return Access(**asked, memory=memory, tell=partial(setattr, request.state, "grace_until"))


def account_of(request: Request) -> UUID:
    """The account that asks; a plain function, because as a sync dependency it would take a thread."""
    principal: Principal = request.scope["principal"]
    return principal.account_id


async def _offered(symbol: str, request: Request) -> OfferedDataset:
    return await access_of(request).dataset(symbol)


Offered = Annotated[OfferedDataset, Depends(_offered)]
