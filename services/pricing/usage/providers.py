"""Puts counting together: a counter for each request, and what writes the counts down beside the requests."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Annotated

import structlog
from fastapi import Depends, Request
from sqlalchemy.exc import SQLAlchemyError

from services.pricing.usage.repository import UsageRepository
from services.pricing.usage.uses import Uses
from shared.application import Transaction
from shared.database import Database
from shared.principal import Principal

PERIOD = 2.0
logger = structlog.get_logger(__name__)


@dataclass(frozen=True)
class Counter:
    """Counts for one account."""

    uses: Uses
    reader: Principal

    def add(self, dataset: str, frequency: str, rows: int) -> None:
        """Count bars that are handed out."""
        self.uses.add(self.reader.account_id, self.reader.name, dataset, frequency, rows)


@asynccontextmanager
async def counting(database: Database) -> AsyncIterator[Uses]:
    """Counts that are written down every two seconds, and a last time at the end."""
    uses = Uses()
    stop = asyncio.Event()
    task = asyncio.create_task(_run(uses, database, stop))
    try:
        yield uses
    finally:
        stop.set()
        await task


async def _run(uses: Uses, database: Database, stop: asyncio.Event) -> None:
    while not stop.is_set():
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(stop.wait(), PERIOD)
        await asyncio.to_thread(write_down, uses, database)


def write_down(uses: Uses, database: Database) -> None:
    """Write the counts down; while the database is away they stay in memory."""
    taken = uses.take()
    if not taken:
        return
    try:
        with database.transaction() as session:
            UsageRepository(session).add(taken)
    except SQLAlchemyError as error:
        uses.give_back(taken.items())
        logger.warning("usage is written down later", error=type(error).__name__)


async def _counter(request: Request) -> Counter:
    return Counter(request.app.state.kept["usage"], request.scope["principal"])


def _usage(session: Transaction) -> UsageRepository:
    return UsageRepository(session)


Counted = Annotated[Counter, Depends(_counter)]
Usages = Annotated[UsageRepository, Depends(_usage)]
