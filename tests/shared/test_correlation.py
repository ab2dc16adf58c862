"""A sane request id goes through, any other is replaced, and every answer carries one."""

from typing import Any

import httpx
import pytest
from starlette.types import Receive, Scope, Send

from shared.correlation import HEADER, Correlation, request_id

pytestmark = pytest.mark.anyio


async def tell(scope: Scope, receive: Receive, send: Send) -> None:
    """Answers with the id it is served under."""
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": str(request_id()).encode()})


async def asked(given: Any) -> httpx.Response:
    """The answer to a request with these ids."""
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(Correlation(tell, name="here")), base_url="http://here"
    ) as client:
        return await client.get("/", headers=[(HEADER, value) for value in given])


@pytest.mark.parametrize("sane", ["a", "A-Za-z0-9._-", "0190a1b2-7c3d-7000-8000-000000000000", "x" * 64])
async def test_a_sane_id_is_kept(sane: str) -> None:
    answer = await asked([sane])

    assert answer.headers[HEADER] == answer.text == sane


@pytest.mark.parametrize(
    "given",
    [
        [],
        [""],
        ["x" * 65],
        ["with space"],
        ["line\nbreak"],
        ['{"log": "forged"}'],
        ["ключ".encode()],
        ["a;b"],
        ["a/../b"],
    ],
)
async def test_any_other_is_replaced_by_a_fresh_one(given: list[Any]) -> None:
    answer, another = await asked(given), await asked(given)

    assert answer.headers[HEADER] == answer.text
    assert answer.text not in given
    assert len(answer.text) == 32
    assert answer.text != another.text


async def test_the_id_ends_with_its_request() -> None:
    await asked(["mine"])

    assert request_id() is None
