"""Prices over HTTP: pages of JSON, whole ranges of CSV, and what is covered."""

import json
import time
from collections.abc import AsyncIterator
from dataclasses import replace

from fastapi import APIRouter, Request, Response
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import StreamingResponse

from services.pricing.access.controller import GraceTold
from services.pricing.access.providers import Offered
from services.pricing.prices.errors import SeriesReplaced
from services.pricing.prices.policy import next_bar
from services.pricing.prices.providers import Histories, History, Prices, Readable, Reading
from services.pricing.prices.schemas import Chunk, CoverageList, PriceList
from shared.pagination import InvalidCursor, cursors_of, link_next

router = APIRouter(prefix="/v1/datasets", tags=["Prices"], route_class=GraceTold)
CHUNK = 50_000
PIECE = 64 * 1024
CHECK_SECONDS = 5.0
COLUMNS = "timestamp,price_usd,final"
MONTH_COLUMNS = f"{COLUMNS},open_usd,high_usd,low_usd,mean_usd,samples"
CSV = {"text/csv": {"schema": {"type": "string"}, "example": f"{COLUMNS}\n2026-01-31T20:00:00Z,78621.1203,true\n"}}


@router.get(
    "/{symbol}/prices",
    summary="Read prices",
    operation_id="listPrices",
    response_model=PriceList,
    responses={200: {"content": CSV}},
)
def list_prices(reading: Readable, history: Histories, request: Request) -> Response:
    """The bars that start in [start, end), oldest first; needs an active grant on the dataset at this frequency.

    A month (1mo) is answered if its first instant lies in the range. CSV streams the whole range unless `limit` is
    given, always with its header, and names the source in `Tickgate-Source`. A stream is cut off, visibly, when
    access ends while it is being sent.
    """
    first = history.read(reading.window, format_=reading.format, limit=reading.limit or CHUNK)
    if reading.source not in (None, first.source):  # the page before was another series'
        raise InvalidCursor
    position = [first.last.isoformat(), first.source] if first.last and first.more else None
    cursor = cursors_of(request).dump(reading.scope, position) if position and reading.limit else None
    response = _csv(reading, first, history) if reading.format == "csv" else _json(reading, first, cursor)
    link_next(request, response, cursor)
    return response


@router.get("/{symbol}/coverage", summary="Show what is stored", operation_id="getCoverage")
def get_coverage(symbol: str, dataset: Offered, prices: Prices) -> CoverageList:
    """First and last bar, rows and gaps of every frequency on offer. Needs no key."""
    return CoverageList(dataset=symbol, data=prices.coverage(symbol, dataset.frequencies))


def _json(reading: Reading, chunk: Chunk, cursor: str | None) -> Response:
    window = reading.window
    head = {"dataset": window.dataset, "frequency": window.frequency, "currency": "USD", "source": chunk.source}
    start = json.dumps(head, separators=(",", ":")).removesuffix("}")
    body = f'{start},"data":[{chunk.body}],"next_cursor":{json.dumps(cursor)}}}'
    return Response(body, media_type="application/json")


def _csv(reading: Reading, first: Chunk, history: History) -> Response:
    window = reading.window
    headers = {"Content-Disposition": f'attachment; filename="{window.dataset}_USD_{window.frequency}.csv"'}
    if first.source:
        headers["Tickgate-Source"] = first.source
    columns = (MONTH_COLUMNS if window.frequency == "1mo" else COLUMNS) + "\n"
    if reading.limit or not first.more:
        return Response(columns + first.body, media_type="text/csv", headers=headers)
    stream = _stream(reading, replace(first, body=columns + first.body), history)
    return StreamingResponse(stream, media_type="text/csv", headers=headers)


async def _stream(reading: Reading, chunk: Chunk, history: History) -> AsyncIterator[bytes]:
    """Chunk after chunk; whatever is wrong on the way raises, so that the answer ends without its end."""
    window, source, checked = reading.window, chunk.source, time.monotonic()
    while True:
        body = chunk.body.encode()
        for offset in range(0, len(body), PIECE):
            if time.monotonic() - checked > CHECK_SECONDS:
                await reading.check_again()
                checked = time.monotonic()
            yield body[offset : offset + PIECE]
        if not chunk.more or chunk.last is None:
            return
        window = replace(window, start=next_bar(window.frequency, chunk.last))
        chunk = await run_in_threadpool(history.read, window, format_=reading.format, limit=CHUNK)
        if chunk.source != source:
            raise SeriesReplaced
