"""Prices over HTTP: pages of JSON, whole ranges as tables, and what is covered."""

import json
import time
from collections.abc import AsyncIterator
from dataclasses import replace

from fastapi import APIRouter, Request, Response
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import StreamingResponse

from services.pricing.access.controller import TOLD, GraceTold
from services.pricing.access.providers import Offered
from services.pricing.prices.encoder import COLUMNS, Encoder, about, open_encoder
from services.pricing.prices.policy import MEDIA_TYPES, is_known, next_bar, tag
from services.pricing.prices.providers import Histories, History, Prices, Readable, Reading, position
from services.pricing.prices.schemas import Chunk, CoverageList, Edition, Format, PriceList
from services.pricing.usage.providers import Counted, Counter
from shared.pagination import cursors_of, link_next

router = APIRouter(prefix="/v1/datasets", tags=["Prices"], route_class=GraceTold)
CHUNK = 50_000
PIECE = 64 * 1024
CHECK_SECONDS = 5.0
BINARY = {"schema": {"type": "string", "format": "binary"}}
TABLES = {
    MEDIA_TYPES["csv"]: {
        "schema": {"type": "string"},
        "example": f"{','.join(COLUMNS)}\n2026-01-31T20:00:00Z,78621.1203,true\n",
    },
    MEDIA_TYPES["arrow"]: BINARY,
    MEDIA_TYPES["parquet"]: BINARY,
}


@router.get(
    "/{symbol}/prices",
    summary="Read prices",
    operation_id="listPrices",
    response_model=PriceList,
    responses={
        200: {"content": TABLES, "headers": TOLD},
        304: {"description": "Nothing has changed since the answer whose `ETag` the request's `If-None-Match` names."},
    },
)
def list_prices(reading: Readable, history: Histories, counter: Counted, request: Request) -> Response:
    """The bars that start in [start, end), oldest first; needs an active grant on the dataset at this frequency.

    A month (1mo) is answered if its first instant lies in the range. JSON comes in pages; CSV, Arrow streams and
    Parquet files hold the whole range unless `limit` is given, and the same columns whatever is in it. A page that
    follows another, and all of a table, are of one version of the series, even while it is being changed;
    `Tickgate-Source` and `Tickgate-Series-Version` name both. A range in which more than 5,000,000 bars could start is
    refused with the parts to read it in. A stream is cut off, visibly, when access ends while it is being sent.
    """
    if reading.known and is_known(reading.known, tag(edition := history.edition(reading.window), reading.format)):
        return Response(status_code=304, headers=headers_of(edition, reading.format))
    first = history.read(reading.window, format_=reading.text, limit=reading.limit or CHUNK)
    counter.add(reading.window.dataset, reading.window.frequency, first.rows)
    following = position(first) if reading.limit else None
    cursor = cursors_of(request).dump(reading.scope, following) if following else None
    response = _page(first, reading, cursor) if reading.format == "json" else _table(first, reading, history, counter)
    response.headers.update(headers_of(first.edition, reading.format, first.source))
    link_next(request, response, cursor)
    return response


@router.get("/{symbol}/coverage", summary="Show what is stored", operation_id="getCoverage")
def get_coverage(symbol: str, dataset: Offered, prices: Prices) -> CoverageList:
    """First and last bar, rows and gaps of every frequency on offer. Needs no key."""
    return CoverageList(dataset=symbol, data=prices.coverage(symbol, dataset.frequencies))


def headers_of(edition: Edition, format_: Format, source: str | None = None) -> dict[str, str]:
    """What every answer says: of which edition it is, and that it may be kept but not used without asking."""
    named = {"Tickgate-Source": source, "Tickgate-Series-Version": str(edition.version)} if source else {}
    return {
        "ETag": tag(edition, format_),
        "Cache-Control": "private, no-cache",
        "Vary": "Accept",
        **named,
    }


def _page(chunk: Chunk, reading: Reading, cursor: str | None) -> Response:
    window = reading.window
    head = {"dataset": window.dataset, "frequency": window.frequency, "currency": "USD", "source": chunk.source}
    start = json.dumps(head, separators=(",", ":")).removesuffix("}")
    body = f'{start},"data":[{chunk.body}],"next_cursor":{json.dumps(cursor)}}}'
    return Response(body, media_type=MEDIA_TYPES["json"])


def _table(first: Chunk, reading: Reading, history: History, counter: Counter) -> Response:
    window, media_type = reading.window, MEDIA_TYPES[reading.format]
    headers = {
        "Content-Disposition": f'attachment; filename="{window.dataset}_USD_{window.frequency}.{reading.format}"'
    }
    encoder = open_encoder(reading.format, window.frequency, about(window.dataset, window.frequency, first))
    start = encoder.encode(first.body)
    if reading.limit or not first.more:
        return Response(start + encoder.end(), media_type=media_type, headers=headers)
    stream = _stream(start, first, reading, history, encoder, counter)
    return StreamingResponse(_checked(stream, reading), media_type=media_type, headers=headers)


async def _stream(
    encoded: bytes, chunk: Chunk, reading: Reading, history: History, encoder: Encoder, counter: Counter
) -> AsyncIterator[bytes]:
    """Chunk after chunk of one edition, no connection held in between."""
    yield encoded
    while chunk.more and chunk.last is not None:
        start = next_bar(reading.window.frequency, chunk.last)
        window = replace(reading.window, start=start, edition=chunk.edition)
        chunk = await run_in_threadpool(history.read, window, format_=reading.text, limit=CHUNK)
        counter.add(window.dataset, window.frequency, chunk.rows)
        yield await run_in_threadpool(encoder.encode, chunk.body)
    yield encoder.end()


async def _checked(parts: AsyncIterator[bytes], reading: Reading) -> AsyncIterator[bytes]:
    """The parts in pieces; whatever is wrong on the way raises, so that the answer ends without its end."""
    checked = time.monotonic()
    async for part in parts:
        for offset in range(0, len(part), PIECE):
            if time.monotonic() - checked > CHECK_SECONDS:
                await reading.check_again()
                checked = time.monotonic()
            yield part[offset : offset + PIECE]
