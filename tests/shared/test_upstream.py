"""A service is called the same way in this process and in another, and half an answer is never a whole one."""

import asyncio
import json
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack, asynccontextmanager
from threading import Barrier

import aiohttp
import pytest
from starlette.applications import Starlette
from starlette.types import Message

from shared.upstream import fetch, open_neighbour, open_upstream
from tests.shared.echo import Echo, call, serving
from tests.shared.ground import until

pytestmark = pytest.mark.anyio


async def test_a_service_is_started_once_for_many_users_and_stopped_with_the_last(echo: Echo) -> None:
    async with AsyncExitStack() as first:
        await first.enter_async_context(open_upstream("asgi://echoing_service"))
        async with open_upstream("asgi://echoing_service"), open_upstream("asgi://echoing_service"):
            assert echo.lives == ["starting", "started"]
        assert echo.lives == ["starting", "started"]
    assert echo.lives == ["starting", "started", "stopped"]

    async with open_upstream("asgi://echoing_service"):
        assert echo.lives[3:] == ["starting", "started"]


async def test_who_comes_while_a_service_starts_waits_for_it(echo: Echo) -> None:
    async def use() -> list[str]:
        async with open_upstream("asgi://echoing_service"):
            return list(echo.lives)

    first, second = await asyncio.gather(use(), use())
    assert first == second == ["starting", "started"]
    assert echo.lives == ["starting", "started", "stopped"]


def test_threads_without_an_event_loop_share_one_for_a_service_that_runs_here(
    echo: Echo, key_pair: tuple[str, str]
) -> None:
    both_are_there = Barrier(2)

    def use(_: int) -> int:
        with open_neighbour("echo", "asgi://echoing_service", private_key=key_pair[0], caller="pricing") as get:
            both_are_there.wait(10)
            return get("/status/204").status

    with ThreadPoolExecutor(2) as pool:
        assert list(pool.map(use, range(2))) == [204, 204]
    assert echo.lives == ["starting", "started", "stopped"]


async def test_a_service_that_does_not_start_can_be_tried_again(echo: Echo) -> None:
    @asynccontextmanager
    async def failing(_app: Starlette) -> AsyncIterator[None]:
        raise LookupError("a setting is missing")
        yield

    live, echo.app.router.lifespan_context = echo.app.router.lifespan_context, failing
    with pytest.raises(LookupError):
        async with open_upstream("asgi://echoing_service"):
            pass
    echo.app.router.lifespan_context = live
    async with open_upstream("asgi://echoing_service") as upstream:
        assert (await fetch(upstream, "GET", "/status/204")).status == 204


async def test_path_query_headers_and_body_arrive_untouched(url: str) -> None:
    messages: list[Message] = []
    parts: list[Message] = [
        {"type": "http.request", "body": b"half ", "more_body": True},
        {"type": "http.request", "body": b"half"},
    ]
    never: asyncio.Future[Message] = asyncio.get_running_loop().create_future()

    async def receive() -> Message:
        return parts.pop(0) if parts else await never

    async def send(message: Message) -> None:
        messages.append(message)

    path, query = "/echo/a%2Fb%20c/..%2f/%C3%9F/./../%252e//x;y=1", "a=%20b+c&a=1&=&%E2%82%BF=%00"
    async with open_upstream(url) as upstream:
        await call(
            upstream,
            receive,
            send,
            method="POST",
            path="/echo/a/b c/..//ß/./../%2e//x;y=1",
            raw_path=path.encode(),
            query_string=query.encode(),
            headers=[(b"x-a", b"1"), (b"x-a", b"2"), (b"content-type", b"text/plain")],
        )

    start, *bodies = messages
    heard = json.loads(b"".join(message.get("body", b"") for message in bodies))
    assert start["status"] == 203
    assert (b"x-own", b"kept") in start["headers"]
    assert (heard["method"], heard["path"], heard["query"], heard["body"]) == ("POST", path, query, "half half")
    assert [pair for pair in heard["headers"] if pair[0] == "x-a"] == [["x-a", "1"], ["x-a", "2"]]
    assert ["content-type", "text/plain"] in heard["headers"]


async def test_a_streamed_answer_is_collected_whole(url: str) -> None:
    async with asyncio.timeout(5), open_upstream(url) as upstream:
        answer = await fetch(upstream, "GET", "/stream")

    assert (answer.status, answer.body) == (200, b"one two three")


async def test_a_stream_arrives_part_by_part_and_ends_when_its_reader_goes_away(url: str, echo: Echo) -> None:
    gone = asyncio.Event()
    ticks = 0
    unread: list[Message] = [{"type": "http.request", "body": b""}]

    async def receive() -> Message:
        if unread:
            return unread.pop()
        await gone.wait()
        return {"type": "http.disconnect"}

    async def send(message: Message) -> None:
        nonlocal ticks
        ticks += len(message.get("body", b"")) // 4
        if ticks > 3:
            gone.set()

    async with asyncio.timeout(5), open_upstream(url) as upstream:
        await call(upstream, receive, send, path="/endless", raw_path=b"/endless")
        assert ticks > 3
        assert await asyncio.to_thread(until, lambda: echo.streams == 0)


async def test_many_open_streams_keep_nobody_else_waiting(echo: Echo) -> None:
    with serving(echo.app) as url:
        async with asyncio.timeout(20), open_upstream(url) as upstream:

            async def send(message: Message) -> None:
                pass

            async def read() -> None:
                hold: asyncio.Future[Message] = asyncio.get_running_loop().create_future()
                unread: list[Message] = [{"type": "http.request", "body": b""}]

                async def receive() -> Message:
                    return unread.pop() if unread else await hold

                await call(upstream, receive, send, path="/endless", raw_path=b"/endless")

            readers = [asyncio.create_task(read()) for _ in range(120)]
            assert await asyncio.to_thread(until, lambda: echo.streams == 120)
            answer = await fetch(upstream, "GET", "/status/204")
            for reader in readers:
                reader.cancel()
            await asyncio.gather(*readers, return_exceptions=True)

    assert answer.status == 204


async def test_no_cookie_of_one_caller_reaches_another(url: str) -> None:
    async with open_upstream(url.replace("127.0.0.1", "localhost")) as upstream:
        answers = [await fetch(upstream, "GET", "/cookie") for _ in range(2)]

    assert [answer.body for answer in answers] == [b"", b""]


async def test_a_service_that_cannot_be_reached_is_a_503_problem() -> None:
    async with open_upstream("http://127.0.0.1:1") as upstream:
        answer = await fetch(upstream, "GET", "/v1/datasets")

    assert answer.status == 503
    assert answer.json()["code"] == "temporarily-unavailable"
    assert answer.json()["instance"] == "/v1/datasets"


@pytest.mark.parametrize(
    "cut",
    [
        b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhalf",
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n4\r\nhalf\r\n",
    ],
)
async def test_a_cut_answer_is_not_taken_for_a_whole_one(cut: bytes) -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(cut)
        writer.close()
        await writer.wait_closed()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with server, open_upstream(f"http://127.0.0.1:{port}") as upstream:
        with pytest.raises(aiohttp.ClientError):
            await fetch(upstream, "GET", "/")


async def test_an_answer_that_never_began_is_a_503_problem() -> None:
    async def answer(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.close()
        await writer.wait_closed()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with server, open_upstream(f"http://127.0.0.1:{port}") as upstream:
        assert (await fetch(upstream, "GET", "/")).status == 503


async def test_only_two_kinds_of_address_lead_to_a_service() -> None:
    with pytest.raises(ValueError, match=r"asgi://package\.module or http://host:port"):
        async with open_upstream("ftp://here"):
            pass
