"""Another of our services is asked under our own name, and its errors are not taken for answers."""

import pytest

from shared.errors import TemporarilyUnavailable
from shared.identity import HEADER, Signer, Verifier
from shared.upstream import Neighbour, open_upstream
from tests.shared.ground import PRIVATE, PUBLIC

pytestmark = pytest.mark.anyio


async def test_a_neighbour_is_asked_under_our_own_name(url: str) -> None:
    async with open_upstream(url) as upstream:
        neighbour = Neighbour(upstream, name="echo", signer=Signer(PRIVATE, issuer="ground"), caller="ground")
        heard = (await neighbour.get("/echo/x", "a=1")).json()

    token = dict(heard["headers"])[HEADER]
    issuer, principal = Verifier({"ground": [PUBLIC]}, audience="echo").verify(token)
    assert (issuer, principal.role, principal.name) == ("ground", "service", "ground")
    assert heard["query"] == "a=1"


@pytest.mark.parametrize(("status", "concluded"), [(200, True), (204, True), (404, True), (401, False), (500, False)])
async def test_from_an_error_of_a_neighbour_nothing_is_concluded(status: int, concluded: bool, url: str) -> None:
    async with open_upstream(url) as upstream:
        neighbour = Neighbour(upstream, name="echo", signer=Signer(PRIVATE, issuer="ground"), caller="ground")
        if concluded:
            assert (await neighbour.get(f"/status/{status}")).status == status
        else:
            with pytest.raises(TemporarilyUnavailable):
                await neighbour.get(f"/status/{status}")
