"""Puts counting together: a counter for each request, and beside them what writes the counts down and reports them."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from typing import Annotated

import structlog
from fastapi import Depends, Request
from sqlalchemy import RowMapping
from sqlalchemy.exc import SQLAlchemyError

from services.pricing.usage.repository import UsageRepository
from services.pricing.usage.source import report
from services.pricing.usage.uses import Uses
from shared.application import Transaction
from shared.database import Database
from shared.errors import TemporarilyUnavailable
from shared.method import sends_body
from shared.principal import Principal
from shared.upstream import Neighbour

PERIOD = 2.0
BATCH = 500
logger = structlog.get_logger(__name__)


@dataclass(frozen=True)
class Counter:
    """Counts for one account, unless what is read is not `sent`."""

    uses: Uses
    reader: Principal
    sent: bool

    def add(self, dataset: str, frequency: str, rows: int) -> None:
        """Count bars that are handed out."""
        if self.sent:
            self.uses.add(self.reader.account_id, self.reader.name, dataset, frequency, rows)


@asynccontextmanager
async def counting(database: Database, neighbours: Mapping[str, Neighbour]) -> AsyncIterator[Uses]:
    """Counts that are written down every two seconds, and a last time at the end; entitlements hears of them."""
    uses = Uses()
    stop = asyncio.Event()
    writing = partial(asyncio.to_thread, write_down, uses, database)
    reporting = partial(pass_on, database, neighbours["entitlements"])
    tasks = [asyncio.create_task(_run(act, stop)) for act in (writing, reporting)]
    try:
        yield uses
    finally:
        stop.set()
        await asyncio.gather(*tasks)


async def _run(act: Callable[[], Awaitable[None]], stop: asyncio.Event) -> None:
    while not stop.is_set():
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(stop.wait(), PERIOD)
        await act()


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


async def pass_on(database: Database, entitlements: Neighbour) -> None:
    """Tell entitlements of what has grown since it last heard; while it is away, the rows keep what it has to hear."""
    try:
        told = BATCH
        while told == BATCH:
            grown = await asyncio.to_thread(_unreported, database)
            if grown:
                await report(entitlements, grown)
                await asyncio.to_thread(_mark, database, grown)
            told = len(grown)
    except (SQLAlchemyError, TemporarilyUnavailable) as error:
        logger.warning("usage is reported later", error=type(error).__name__)


def _unreported(database: Database) -> Sequence[RowMapping]:
    with database.transaction() as session:
        return UsageRepository(session).unreported(BATCH)


def _mark(database: Database, told: Sequence[RowMapping]) -> None:
    with database.transaction() as session:
        UsageRepository(session).mark(told)


async def _counter(request: Request) -> Counter:
    return Counter(request.app.state.kept["usage"], request.scope["principal"], sends_body(request.headers))


def _usage(session: Transaction) -> UsageRepository:
    return UsageRepository(session)


Counted = Annotated[Counter, Depends(_counter)]
Usages = Annotated[UsageRepository, Depends(_usage)]
