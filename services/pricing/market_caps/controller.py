"""Market capitalisations over HTTP: pages of JSON, whole ranges of CSV."""

from collections.abc import Iterable
from hashlib import sha256

from fastapi import APIRouter, Request, Response

from services.pricing.market_caps.providers import MarketCaps, Readable
from services.pricing.market_caps.schemas import MarketCapList, MarketCapOut
from services.pricing.prices.policy import MEDIA_TYPES, is_known
from services.pricing.usage.providers import Counted
from shared.pagination import cursors_of, link_next

router = APIRouter(prefix="/v1/datasets", tags=["Market capitalisations"])
KEPT = ("ETag", "Cache-Control", "Vary")
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
    """One value a day (20:00 UTC), oldest first, each with where it is from; needs any active grant on the dataset.

    CSV holds the whole range unless `limit` is given.
    """
    most = None if reading.limit is None else reading.limit + 1
    found = caps.page(symbol, start=reading.start, end=reading.end, limit=most)
    rows = [MarketCapOut.model_validate(row) for row in found[: reading.limit]]
    more = len(found) > len(rows)
    cursor = cursors_of(request).dump(reading.scope, rows[-1].date.isoformat()) if more else None
    if reading.format == "csv":
        response = _table(symbol, rows)
    else:
        page = MarketCapList(dataset=symbol, source=caps.source(symbol), data=rows, next_cursor=cursor)
        response = Response(page.model_dump_json(), media_type=MEDIA_TYPES["json"])
    response.headers.update({"ETag": tag(response), "Cache-Control": "private, no-cache", "Vary": "Accept"})
    if is_known(reading.known, response.headers["ETag"]):
        return Response(status_code=304, headers={name: response.headers[name] for name in KEPT})
    counter.add(symbol, USED_AS, len(rows))
    link_next(request, response, cursor)
    return response


def tag(response: Response) -> str:
    """The strong entity tag of what is short enough to be named by itself."""
    return f'"{sha256(response.body).hexdigest()[:32]}"'


def _table(symbol: str, rows: Iterable[MarketCapOut]) -> Response:
    """Dates, numbers and our own words: nothing that anybody named, so there is nothing to quote."""
    lines = (",".join(map(str, row.model_dump(mode="json").values())) for row in rows)
    headers = {"Content-Disposition": f'attachment; filename="{symbol}_USD_market_caps.csv"'}
    return Response("\n".join([COLUMNS, *lines, ""]), media_type=MEDIA_TYPES["csv"], headers=headers)
