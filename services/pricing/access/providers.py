"""Puts the questions to the neighbours together, as dependencies that take no thread and no connection."""

from collections.abc import Callable, Coroutine
from typing import Annotated, Any
from uuid import UUID

from fastapi import Depends, Request, Response
from fastapi.routing import APIRoute

from services.pricing.access.schemas import OfferedDataset
from services.pricing.access.source import Access
from shared.principal import Principal
from shared.wire import instant_text

HEADER = "Entitlement-Grace-Until"


class GraceTold(APIRoute):
    """A route whose answers say up to when a grace keeps the access going, where nothing else does."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """The handler, and then the header."""
        handle = super().get_route_handler()

        async def told(request: Request) -> Response:
            response = await handle(request)
            if until := instant_text(getattr(request.state, "grace_until", None)):
                response.headers[HEADER] = until
            return response

        return told


def access_of(request: Request) -> Access:
    """The neighbours of the service that serves this request."""
    neighbours, memory = request.app.state.neighbours, request.app.state.memories["entitlements"]
    asked = {"catalog": neighbours["catalog"], "entitlements": neighbours["entitlements"]}
    return Access(**asked, memory=memory, state=request.state)


def account_of(request: Request) -> UUID:
    """The account that asks; a plain function, because as a sync dependency it would take a thread."""
    principal: Principal = request.scope["principal"]
    return principal.account_id


async def _offered(symbol: str, request: Request) -> OfferedDataset:
    return await access_of(request).dataset(symbol)


Offered = Annotated[OfferedDataset, Depends(_offered)]
