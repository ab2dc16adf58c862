"""Compressed answers: by what the caller takes, piece by piece, under a tag of their own."""

import gzip
from collections.abc import AsyncIterator, Iterator

import anyio.lowlevel
import httpx
import pytest
import zstandard
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route

from shared.compression import Compression, preferred
from tests.serving import listening

ROWS = b"2025-06-10T00:00:00Z,100.50,true\n" * 1000


async def whole(request: Request) -> Response:
    """A table with a tag, or 304 to who has it."""
    if request.headers.get("if-none-match") == '"1-csv"':
        return Response(status_code=304, headers={"ETag": '"1-csv"'})
    return Response(ROWS, media_type="text/csv", headers={"ETag": '"1-csv"', "Vary": "Accept"})


async def small(_: Request) -> Response:
    """Too small to be worth it."""
    return Response(b"{}", media_type="application/json", headers={"ETag": '"1-json"'})


async def streamed(request: Request) -> Response:
    """A table in pieces, which breaks off when asked to."""

    async def pieces() -> AsyncIterator[bytes]:
        for number in range(10):
            if number == 5 and "break" in request.query_params:
                raise RuntimeError("broken off")
            yield ROWS
            await anyio.lowlevel.checkpoint()

    return StreamingResponse(pieces(), media_type="text/csv")


async def plain(_: Request) -> Response:
    """Not of a type that is compressed."""
    return PlainTextResponse("x" * 10_000)


async def refused(_: Request) -> Response:
    """No success."""
    return Response(b" " * 10_000, 422, media_type="application/problem+json")


@pytest.fixture(scope="module")
def client() -> Iterator[httpx.Client]:
    """A client of an app behind the middleware, that decodes nothing by itself."""
    handlers = (whole, small, streamed, plain, refused)
    routes = [Route(f"/{handler.__name__}", handler, methods=["GET", "POST"]) for handler in handlers]
    with (
        listening(Starlette(routes=routes, middleware=[Middleware(Compression)])) as url,
        httpx.Client(base_url=url) as client,
    ):
        yield client


def raw(
    client: httpx.Client, path: str, accept: str, method: str = "GET", **headers: str
) -> tuple[httpx.Response, bytes]:
    with client.stream(method, path, headers={"Accept-Encoding": accept, **headers}) as answer:
        return answer, b"".join(answer.iter_raw())


@pytest.mark.parametrize(
    ("accept", "coding"),
    [
        ("", None),
        ("identity", None),
        ("br", None),
        ("gzip", "gzip"),
        ("gzip, deflate", "gzip"),
        ("GZIP;q=0.5", "gzip"),
        ("gzip, zstd", "zstd"),
        ("gzip;q=1, zstd;q=0.5", "gzip"),
        ("gzip;q=0, zstd;q=0", None),
        ("gzip;q=much", None),
        ("*", "zstd"),
        ("*, zstd;q=0", "gzip"),
        ("*;q=0", None),
        ("identity, gzip;q=0.1", None),
        (",;,", None),
    ],
)
def test_the_coding_that_is_meant(accept: str, coding: str | None) -> None:
    assert preferred(accept) == coding


@pytest.mark.parametrize("path", ["/whole", "/streamed"])
def test_a_body_is_the_same_in_every_coding(client: httpx.Client, path: str) -> None:
    answer, expected = raw(client, path, "identity")
    assert "content-encoding" not in answer.headers
    zipped, body = raw(client, path, "gzip")
    assert (zipped.headers["content-encoding"], gzip.decompress(body)) == ("gzip", expected)
    squeezed, body = raw(client, path, "zstd")
    decoder = zstandard.ZstdDecompressor().decompressobj()
    assert (squeezed.headers["content-encoding"], decoder.decompress(body)) == ("zstd", expected)
    assert len(body) < len(expected) / 10
    for told in (answer, zipped, squeezed):
        assert "Accept-Encoding" in told.headers["vary"]


def test_a_whole_body_has_its_compressed_length_and_a_tag_of_its_own(client: httpx.Client) -> None:
    answer, body = raw(client, "/whole", "gzip")
    assert (answer.headers["content-length"], answer.headers["etag"]) == (str(len(body)), '"1-csv-gzip"')
    assert raw(client, "/whole", "identity")[0].headers["etag"] == '"1-csv"'


@pytest.mark.parametrize(
    ("accept", "known", "status", "told"),
    [
        ("gzip", '"1-csv-gzip"', 304, '"1-csv-gzip"'),
        ("gzip", '"1-csv"', 304, '"1-csv"'),
        ("identity", '"1-csv"', 304, '"1-csv"'),
        ("identity", '"1-csv-gzip"', 200, '"1-csv"'),
        ("zstd", '"1-csv-gzip"', 200, '"1-csv-zstd"'),
    ],
)
def test_a_tag_is_good_for_its_own_coding(
    client: httpx.Client, accept: str, known: str, status: int, told: str
) -> None:
    answer, _ = raw(client, "/whole", accept, **{"If-None-Match": known})
    assert (answer.status_code, answer.headers["etag"]) == (status, told)
    assert "Accept-Encoding" in answer.headers["vary"]  # a 304 as the answer that it stands for


def test_what_is_not_worth_it_or_not_meant_stays_as_it_is(client: httpx.Client) -> None:
    for path, method in (("/small", "GET"), ("/plain", "GET"), ("/refused", "GET"), ("/whole", "POST")):
        answer, _ = raw(client, path, "gzip, zstd", method)
        assert "content-encoding" not in answer.headers, path
    assert raw(client, "/small", "gzip")[0].headers["etag"] == '"1-json"'


@pytest.mark.parametrize("coding", ["gzip", "zstd"])
def test_a_stream_that_breaks_off_has_no_end(client: httpx.Client, coding: str) -> None:
    with pytest.raises(httpx.RemoteProtocolError, match="peer closed connection"):
        raw(client, "/streamed?break", coding)
