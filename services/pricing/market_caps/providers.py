"""Puts a read of market capitalisations together."""

from dataclasses import dataclass
from datetime import date, timedelta
from typing import Annotated

from fastapi import Depends, Query, Request

from services.pricing.access.providers import access_of, account_of
from services.pricing.market_caps.policy import first_day
from services.pricing.market_caps.schemas import MarketCapQuery
from services.pricing.market_caps.service import MarketCapService
from services.pricing.prices.errors import NotAcceptable
from services.pricing.prices.policy import EARLIEST, LATEST, MEDIA_TYPES, negotiate
from services.pricing.prices.schemas import Format
from shared.application import Transaction
from shared.clock import DatabaseClock
from shared.pagination import cursors_of

FORMATS: tuple[Format, ...] = ("json", "csv")


@dataclass(frozen=True)
class Reading:
    """A read that was allowed a moment ago: the days in [start, end); `limit` is None for all there are."""

    start: date
    end: date
    limit: int | None
    scope: str
    format: Format
    known: str


async def _reading(symbol: str, query: Annotated[MarketCapQuery, Query()], request: Request) -> Reading:
    """The query first, then the catalog, then entitlements; nothing is held meanwhile."""
    format_ = query.format or negotiate(request.headers.get("accept", ""), FORMATS)
    if format_ is None:
        raise NotAcceptable(formats=[MEDIA_TYPES[format_] for format_ in FORMATS])
    start, end = first_day(query.start or EARLIEST), first_day(query.end or LATEST)
    scope = f"market-caps/{symbol}/{start}/{end}"
    if query.cursor:
        start = date.fromisoformat(cursors_of(request).load(scope, query.cursor)) + timedelta(days=1)
    account, access = account_of(request), access_of(request)
    await access.dataset(symbol)
    await access.require_allowed(account, symbol)
    whole = format_ == "csv" and "limit" not in query.model_fields_set
    known = request.headers.get("if-none-match", "")
    return Reading(start, end, None if whole else query.limit, scope, format_, known)


def _market_caps(session: Transaction) -> MarketCapService:
    return MarketCapService(session, DatabaseClock())


Readable = Annotated[Reading, Depends(_reading)]
MarketCaps = Annotated[MarketCapService, Depends(_market_caps)]
