"""Puts a read of market capitalisations together."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from typing import Annotated, Any

from fastapi import Depends, Query, Request

from services.pricing.access.providers import access_of, account_of
from services.pricing.market_caps.policy import first_day
from services.pricing.market_caps.schemas import Days, MarketCapQuery, Told
from services.pricing.market_caps.service import MarketCapService
from services.pricing.prices.errors import NotAcceptable
from services.pricing.prices.policy import EARLIEST, LATEST, MEDIA_TYPES, negotiate
from services.pricing.prices.schemas import Edition, Format
from shared.application import Transaction
from shared.clock import DatabaseClock
from shared.pagination import cursors_of

FORMATS: tuple[Format, ...] = ("json", "csv")


@dataclass(frozen=True)
class Reading:
    """A read that was allowed a moment ago; `limit` is None for all there is."""

    days: Days
    limit: int | None
    scope: str
    format: Format
    known: str


async def _reading(symbol: str, query: Annotated[MarketCapQuery, Query()], request: Request) -> Reading:
    """The query first, then the catalog, then entitlements; nothing is held meanwhile."""
    format_ = query.format or negotiate(",".join(request.headers.getlist("accept")), FORMATS)
    if format_ is None:
        raise NotAcceptable(formats=[MEDIA_TYPES[format_] for format_ in FORMATS])
    start, end = first_day(query.start or EARLIEST), first_day(query.end or LATEST)
    days, scope = Days(symbol, start, end, query.as_of), f"market-caps/{symbol}/{start}/{end}/{query.as_of}"
    if query.cursor:
        days = _continued(days, cursors_of(request).load(scope, query.cursor))
    account, access = account_of(request), access_of(request)
    await access.require_any_allowed(account, await access.dataset(symbol))
    whole = format_ == "csv" and "limit" not in query.model_fields_set
    known = ",".join(request.headers.getlist("if-none-match"))
    return Reading(days, None if whole else query.limit, scope, format_, known)


def _continued(days: Days, position: Sequence[Any]) -> Days:
    """The days after a cursor's position, in the edition that the page before was of."""
    last, version, since = position
    edition = Edition(version, datetime.fromisoformat(since))
    return replace(days, start=date.fromisoformat(last) + timedelta(days=1), edition=edition)


def position(told: Told) -> list[str | int] | None:
    """Where the page after one begins, and in which edition; None after the last one."""
    if not told.more or told.edition.since is None:
        return None
    return [told.rows[-1].date.isoformat(), told.edition.version, told.edition.since.isoformat()]


def _market_caps(session: Transaction) -> MarketCapService:
    return MarketCapService(session, DatabaseClock())


Readable = Annotated[Reading, Depends(_reading)]
MarketCaps = Annotated[MarketCapService, Depends(_market_caps)]
