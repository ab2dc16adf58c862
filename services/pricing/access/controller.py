"""What every answer about prices says of the access that it was given under."""

from collections.abc import Callable, Coroutine
from typing import Any

from fastapi import Request, Response
from fastapi.routing import APIRoute

from shared.wire import instant_text

HEADER = "Entitlement-Grace-Until"
TOLD: dict[str, Any] = {
    HEADER: {
        "description": "Only while a renewal that was asked for in time is undecided and only its grace keeps your "
        "access going: up to when it does at most. It ends at once where the renewal comes to nothing.",
        "schema": {"type": "string", "format": "date-time"},
    }
}


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
