"""Puts a price read together: what is asked for, whether it may be answered, and the transactions it is read in."""

from dataclasses import dataclass, replace
from datetime import datetime
from typing import Annotated
from uuid import UUID

from fastapi import Depends, Query, Request

from services.pricing.access.providers import access_of, account_of
from services.pricing.access.source import Access
from services.pricing.prices.errors import NotAcceptable, RangeTooLarge
from services.pricing.prices.policy import EARLIEST, FORMATS, LATEST, MEDIA_TYPES, negotiate, next_bar, ranges
from services.pricing.prices.schemas import Chunk, Edition, Format, PriceQuery, Text, Window
from services.pricing.prices.service import PriceService
from shared.application import Transaction
from shared.clock import DatabaseClock
from shared.database import Database
from shared.pagination import Cursors, cursors_of
from shared.wire import instant_text


@dataclass(frozen=True)
class Reading:
    """A read that was allowed a moment ago; `limit` is None for all there is."""

    window: Window
    format: Format
    limit: int | None
    scope: str
    known: str
    account: UUID
    access: Access

    @property
    def text(self) -> Text:
        """What Postgres renders: every table is made out of CSV."""
        return "json" if self.format == "json" else "csv"

    async def check_again(self) -> None:
        """Raises Denied when it may no longer be answered."""
        await self.access.require_allowed(self.account, self.window.dataset, self.window.frequency)


class History:
    """Reads chunk after chunk, each in a transaction of its own that is over before the chunk is sent."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def edition(self, window: Window) -> Edition:
        """The edition that the window is read in; raises what reading it would."""
        with self._database.transaction() as session:
            return PriceService(session, DatabaseClock()).edition(window)

    def read(self, window: Window, *, format_: Text, limit: int) -> Chunk:
        """The first `limit` bars of the window; raises VersionGone."""
        with self._database.transaction() as session:
            return PriceService(session, DatabaseClock()).read(window, format_=format_, limit=limit)


async def _reading(symbol: str, query: Annotated[PriceQuery, Query()], request: Request) -> Reading:
    """The query first, then the catalog, then entitlements; nothing is held meanwhile."""
    format_ = query.format or negotiate(",".join(request.headers.getlist("accept")))
    if format_ is None:
        raise NotAcceptable(formats=[MEDIA_TYPES[format_] for format_ in FORMATS])
    window, scope = _window(symbol, query), _scope(symbol, query)
    if query.cursor:
        window = _continued(window, cursors_of(request), scope, query.cursor)
    whole = format_ != "json" and "limit" not in query.model_fields_set
    known = ",".join(request.headers.getlist("if-none-match"))
    account, access = account_of(request), access_of(request)
    await access.require_offered(symbol, query.frequency)
    await access.require_allowed(account, symbol, query.frequency)
    return Reading(window, format_, None if whole else query.limit, scope, known, account, access)


def _window(symbol: str, query: PriceQuery) -> Window:
    """What is asked for; raises RangeTooLarge."""
    if query.start is not None and query.end is not None:
        parts = ranges(query.frequency, query.start, query.end)
        if len(parts) > 1:
            chunks = [{"start": instant_text(start), "end": instant_text(end)} for start, end in parts]
            raise RangeTooLarge(chunks=chunks)
    return Window(symbol, query.frequency, query.start or EARLIEST, query.end or LATEST, query.as_of)


def _scope(symbol: str, query: PriceQuery) -> str:
    """The question that a cursor belongs to."""
    return "/".join(["prices", symbol, query.frequency, *(str(at) for at in (query.start, query.end, query.as_of))])


def _continued(window: Window, cursors: Cursors, scope: str, cursor: str) -> Window:
    """The rest of the window after a cursor, in the edition that the page before was of."""
    last, version, since = cursors.load(scope, cursor)
    edition = Edition(version, datetime.fromisoformat(since))
    return replace(window, start=next_bar(window.frequency, datetime.fromisoformat(last)), edition=edition)


def position(chunk: Chunk) -> list[str | int] | None:
    """Where the page after a chunk begins, and in which edition; None after the last one."""
    if not chunk.more or chunk.last is None or chunk.edition.since is None:
        return None
    return [chunk.last.isoformat(), chunk.edition.version, chunk.edition.since.isoformat()]


def _history(request: Request) -> History:
    return History(request.app.state.database)


def _prices(session: Transaction) -> PriceService:
    return PriceService(session, DatabaseClock())


Readable = Annotated[Reading, Depends(_reading)]
Histories = Annotated[History, Depends(_history)]
Prices = Annotated[PriceService, Depends(_prices)]
