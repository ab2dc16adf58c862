"""Whether this process lives, and whether it and everything behind it can serve."""

import asyncio
import time
from collections.abc import Mapping

import structlog
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from gateway.surface import Service
from shared.errors import TemporarilyUnavailable
from shared.upstream import fetch

logger = structlog.get_logger(__name__)
PATIENCE = 3.0
FRESH = 0.1  # seconds for which an answer counts


def alive() -> ASGIApp:
    """Answers without touching anything."""
    return JSONResponse({"status": "alive"})


def ready(services: Mapping[str, Service]) -> ASGIApp:
    """Answers 503 while a service, that of the keys among them, cannot serve.

    Nobody needs a key for that, so however many ask, the services are asked ten times a second at most.
    """
    turn, missing, fresh_until = asyncio.Lock(), list[str](), 0.0

    async def serve(scope: Scope, receive: Receive, send: Send) -> None:
        nonlocal missing, fresh_until
        async with turn:
            if time.monotonic() >= fresh_until:
                missing = await _missing(services)
                fresh_until = time.monotonic() + FRESH
        if missing:
            raise TemporarilyUnavailable(f"not ready: {', '.join(missing)}", missing=missing)
        await JSONResponse({"status": "ready"})(scope, receive, send)

    return serve


async def _missing(services: Mapping[str, Service]) -> list[str]:
    checks = await asyncio.gather(*(_service(service) for service in services.values()))
    return [name for name, well in zip(services, checks, strict=True) if not well]


async def _service(service: Service) -> bool:
    try:
        async with asyncio.timeout(PATIENCE):
            answer = await fetch(service.app, "GET", "/readyz")
    except Exception as error:  # whatever a service raises, the answer is that it is not ready
        logger.warning("service unavailable", service=service.name, error=str(error))
        return False
    return answer.status == 200
