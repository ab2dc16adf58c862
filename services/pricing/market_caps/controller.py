"""Market capitalisations over HTTP: pages of JSON, whole ranges of CSV."""

from collections.abc import Iterable

from fastapi import APIRouter, Request, Response

from services.pricing.market_caps.providers import MarketCaps, Readable, position
from services.pricing.market_caps.schemas import MarketCapList, MarketCapOut, Told
from services.pricing.prices.controller import headers_of
from services.pricing.prices.policy import MEDIA_TYPES, is_known, tag
from services.pricing.usage.providers import Counted
from shared.pagination import cursors_of, link_next

router = APIRouter(prefix="/v1/datasets", tags=["Market capitalisations"])
USED_AS = "market-caps"
COLUMNS = "date,market_cap_usd,observed_at,provenance"
CSV = {
    "schema": {"type": "string"},
    "example": f"{COLUMNS}\n2026-01-31,1394938121675.8598,2026-01-31T20:00:01Z,observed\n",
}


@router.get(
    "/{symbol}/market-caps",
    summary="Read market capitalisations",
    operation_id="listMarketCaps",
    response_model=MarketCapList,
    responses={
        200: {"content": {MEDIA_TYPES["csv"]: CSV}},
        304: {"description": "Nothing has changed since the answer whose `ETag` the request's `If-None-Match` names."},
    },
)
def list_market_caps(symbol: str, reading: Readable, caps: MarketCaps, counter: Counted, request: Request) -> Response:
    """One value a day (20:00 UTC), oldest first, each with where it is from.

    It needs an active grant on any frequency that the dataset is offered in. CSV holds the whole range unless `limit`
    is given. A page that follows another is of the same version of the series, even while days are added or revised;
    `Tickgate-Source` and `Tickgate-Series-Version` name both.
    """
    if reading.known and is_known(reading.known, tag(edition := caps.edition(reading.days), reading.format)):
        return Response(status_code=304, headers=headers_of(edition, reading.format))
    told = caps.read(reading.days, limit=reading.limit)
    counter.add(symbol, USED_AS, len(told.rows))
    following = position(told)
    cursor = cursors_of(request).dump(reading.scope, following) if following else None
    response = _table(symbol, told.rows) if reading.format == "csv" else _page(symbol, told, cursor)
    response.headers.update(headers_of(told.edition, reading.format, told.source))
    link_next(request, response, cursor)
    return response


def _page(symbol: str, told: Told, cursor: str | None) -> Response:
    page = MarketCapList(dataset=symbol, source=told.source, data=told.rows, next_cursor=cursor)
    return Response(page.model_dump_json(), media_type=MEDIA_TYPES["json"])


def _table(symbol: str, rows: Iterable[MarketCapOut]) -> Response:
    """Dates, numbers and our own words: nothing that anybody named, so there is nothing to quote."""
    lines = (",".join(map(str, row.model_dump(mode="json").values())) for row in rows)
    headers = {"Content-Disposition": f'attachment; filename="{symbol}_USD_market_caps.csv"'}
    return Response("\n".join([COLUMNS, *lines, ""]), media_type=MEDIA_TYPES["csv"], headers=headers)
