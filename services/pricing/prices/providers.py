"""Puts a price read together: what is asked for, whether it may be answered, and the transactions it is read in."""

from dataclasses import dataclass, replace
from datetime import datetime
from typing import Annotated
from uuid import UUID

from fastapi import Depends, Query, Request

from services.pricing.access.providers import access_of, account_of
from services.pricing.access.source import Access
from services.pricing.prices.policy import EARLIEST, LATEST, negotiate, next_bar
from services.pricing.prices.schemas import Chunk, Format, PriceQuery, Window
from services.pricing.prices.service import PriceService
from shared.application import Transaction
from shared.clock import DatabaseClock
from shared.database import Database
from shared.pagination import Cursors, cursors_of


@dataclass(frozen=True)
class Reading:
    """A read that was allowed a moment ago; `limit` is None for all there is."""

    window: Window
    format: Format
    limit: int | None
    scope: str
    source: str | None
    account: UUID
    access: Access

    async def check_again(self) -> None:
        """Raises Denied when it may no longer be answered."""
        await self.access.require_allowed(self.account, self.window.dataset, self.window.frequency)


class History:
    """Reads chunk after chunk, each in a transaction of its own that is over before the chunk is sent."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def read(self, window: Window, *, format_: Format, limit: int) -> Chunk:
        """The first `limit` bars of the window."""
        with self._database.transaction() as session:
            return PriceService(session, DatabaseClock()).read(window, format_=format_, limit=limit)


async def _reading(symbol: str, query: Annotated[PriceQuery, Query()], request: Request) -> Reading:
    """The query first, then the catalog, then entitlements; nothing is held meanwhile."""
    window = Window(symbol, query.frequency, query.start or EARLIEST, query.end or LATEST)
    scope = f"prices/{symbol}/{window.frequency}/{window.start.isoformat()}/{window.end.isoformat()}"
    source = None
    if query.cursor:
        window, source = _continued(window, cursors_of(request), scope, query.cursor)
    format_ = query.format or negotiate(request.headers.get("accept", ""))
    whole = format_ == "csv" and "limit" not in query.model_fields_set
    account, access = account_of(request), access_of(request)
    await access.require_offered(symbol, query.frequency)
    await access.require_allowed(account, symbol, query.frequency)
    return Reading(window, format_, None if whole else query.limit, scope, source, account, access)


def _continued(window: Window, cursors: Cursors, scope: str, cursor: str) -> tuple[Window, str | None]:
    """The rest of the window after a cursor, and the source that the page before was of."""
    last, source = cursors.load(scope, cursor)
    return replace(window, start=next_bar(window.frequency, datetime.fromisoformat(last))), source


def _history(request: Request) -> History:
    return History(request.app.state.database)


def _prices(session: Transaction) -> PriceService:
    return PriceService(session, DatabaseClock())


Readable = Annotated[Reading, Depends(_reading)]
Histories = Annotated[History, Depends(_history)]
Prices = Annotated[PriceService, Depends(_prices)]
