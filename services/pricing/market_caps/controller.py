"""Market capitalisations over HTTP."""

from fastapi import APIRouter, Request, Response

from services.pricing.market_caps.providers import MarketCaps, Readable
from services.pricing.market_caps.schemas import MarketCapList, MarketCapOut
from shared.pagination import cursors_of, cut, link_next

router = APIRouter(prefix="/v1/datasets", tags=["Market capitalisations"])


@router.get("/{symbol}/market-caps", summary="Read market capitalisations", operation_id="listMarketCaps")
def list_market_caps(
    symbol: str, reading: Readable, caps: MarketCaps, request: Request, response: Response
) -> MarketCapList:
    """One value a day (20:00 UTC), oldest first; needs any active grant on the dataset."""
    found = caps.page(symbol, start=reading.start, end=reading.end, limit=reading.limit + 1)
    rows, more = cut(found, reading.limit)
    cursor = cursors_of(request).dump(reading.scope, rows[-1].date.isoformat()) if more else None
    link_next(request, response, cursor)
    data = [MarketCapOut.model_validate(row) for row in rows]
    return MarketCapList(dataset=symbol, source=caps.source(symbol), data=data, next_cursor=cursor)
