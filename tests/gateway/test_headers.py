"""Which headers go through the door."""

import asyncio

from starlette.types import Message

from gateway.headers import bodiless, keyed, to_client, to_service


def test_a_service_is_told_what_is_on_the_list_and_no_more() -> None:
    given = [
        (b"accept", b"text/csv"),
        (b"accept-encoding", b"gzip"),
        (b"content-type", b"application/json"),
        (b"if-none-match", b'"1"'),
        (b"idempotency-key", b"k"),
        (b"last-event-id", b"7"),
        (b"x-tickgate-identity", b"forged"),
        (b"x-tickgate-anything", b"forged"),
        (b"x-tickgate-method", b"forged"),
        (b"x_tickgate_identity", b"forged"),
        (b"x-api-key", b"secret"),
        (b"x-request-id", b"theirs"),
        (b"authorization", b"secret"),
        (b"cookie", b"secret"),
        (b"host", b"elsewhere"),
        (b"forwarded", b"for=elsewhere"),
        (b"x-forwarded-for", b"elsewhere"),
        (b"connection", b"accept"),
        (b"transfer-encoding", b"chunked"),
        (b"content-length", b"5"),
    ]
    assert to_service(given, token="proven", method="HEAD") == [
        *given[:6],
        (b"x-tickgate-identity", b"proven"),
        (b"x-request-id", b""),
        (b"x-tickgate-method", b"HEAD"),
    ]


def test_the_client_is_not_told_what_is_between_us() -> None:
    told = [
        (b"Content-Type", b"application/json"),
        (b"ETag", b'"1"'),
        (b"Link", b"</v1>"),
        (b"Connection", b"close, X-Hop"),
        (b"X-Hop", b"1"),
        (b"Transfer-Encoding", b"chunked"),
        (b"Server", b"uvicorn"),
        (b"Date", b"today"),
        (b"Set-Cookie", b"a=b"),
        (b"X-Tickgate-Identity", b"token"),
    ]
    assert to_client(told) == [(b"content-type", b"application/json"), (b"etag", b'"1"'), (b"link", b"</v1>")]


def start(*headers: tuple[bytes, bytes]) -> Message:
    return {"type": "http.response.start", "status": 200, "headers": [*headers]}


def passed(wrap: object, *messages: Message) -> list[Message]:
    seen: list[Message] = []

    async def send(message: Message) -> None:
        seen.append(message)

    async def run() -> None:
        for message in messages:
            await wrap(send)(message)  # type: ignore[operator]

    asyncio.run(run())
    return seen


def test_an_answer_to_a_key_is_for_nobody_else() -> None:
    plain = dict(passed(keyed, start())[0]["headers"])
    assert plain == {b"vary": b"X-API-Key", b"cache-control": b"no-store"}
    own = dict(passed(keyed, start((b"cache-control", b"private, no-cache"), (b"vary", b"Accept")))[0]["headers"])
    assert own == {b"cache-control": b"private, no-cache", b"vary": b"Accept, X-API-Key"}


def test_head_ends_with_the_headers() -> None:
    body = {"type": "http.response.body", "body": b"x", "more_body": True}
    seen = passed(bodiless, start((b"content-length", b"1")), body, body)
    assert seen == [start((b"content-length", b"1")), {"type": "http.response.body", "body": b"", "more_body": False}]
