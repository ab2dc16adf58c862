"""Streams through the door: open for as long as their key stands, and until this process is told to stop."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

import structlog

from shared.drain import is_draining
from shared.errors import Problem

EVERY = 1.0
logger = structlog.get_logger(__name__)


async def while_admitted(serve: Coroutine[Any, Any, None], admit: Callable[[], Awaitable[object]]) -> None:
    """Serve a stream; it is cut off when whoever reads it would not be let in any more."""
    task = asyncio.create_task(serve)
    try:
        while not (await asyncio.wait({task}, timeout=EVERY))[0]:
            if is_draining() or not await _is_admitted(admit):
                return
        await task
    finally:
        task.cancel()
        await asyncio.wait({task})


async def _is_admitted(admit: Callable[[], Awaitable[object]]) -> bool:
    """What cannot be found out is a no."""
    try:
        await admit()
    except Exception as error:
        logger.info("a stream is cut off", reason=error.code if isinstance(error, Problem) else repr(error))
        return False
    return True
