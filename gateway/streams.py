"""Long answers through the door: they go on for as long as their key stands."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

import structlog
from starlette.types import Message, Send

from shared.drain import is_draining
from shared.errors import Problem

Admit = Callable[[], Awaitable[object]]
EVERY = 1.0
logger = structlog.get_logger(__name__)


def checking(send: Send, admit: Admit, *, every: float = EVERY) -> Send:
    """Pass an answer on; one that takes long raises before the piece that its reader would not be let in for."""
    checked = 0.0

    async def send_checked(message: Message) -> None:
        nonlocal checked
        if message["type"] == "http.response.start":
            checked = time.monotonic()
        elif time.monotonic() - checked > every:
            await _admit_again(admit)
            checked = time.monotonic()
        await send(message)

    return send_checked


async def while_admitted(serve: Coroutine[Any, Any, None], admit: Admit) -> None:
    """Serve a stream until this process is told to stop; it ends when its reader would not be let in any more."""
    task = asyncio.create_task(serve)
    try:
        while not (await asyncio.wait({task}, timeout=EVERY))[0]:
            if is_draining() or not await _is_admitted(admit):
                return
        await task
    finally:
        task.cancel()
        await asyncio.wait({task})


async def _is_admitted(admit: Admit) -> bool:
    """What cannot be found out is a no."""
    try:
        await _admit_again(admit)
    except Exception:
        return False
    return True


async def _admit_again(admit: Admit) -> None:
    try:
        await admit()
    except Exception as error:
        logger.info("a long answer is cut off", reason=error.code if isinstance(error, Problem) else repr(error))
        raise
