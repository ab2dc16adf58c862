"""Another of our services is asked under our own name, and its errors are not taken for answers."""

import pytest
import structlog

from shared.errors import TemporarilyUnavailable
from shared.identity import HEADER, Signer, Verifier
from shared.upstream import Neighbour, open_upstream
from tests.shared.echo import Echo
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


@pytest.mark.parametrize(("status", "errors"), [(422, 1), (401, 1), (500, 0), (503, 0)])
async def test_a_neighbour_that_refuses_is_an_error_of_ours_and_one_that_is_away_is_not(
    status: int, errors: int, echo: Echo
) -> None:
    neighbour = Neighbour(echo.app, name="echo", signer=Signer(PRIVATE, issuer="ground"), caller="ground")
    with structlog.testing.capture_logs() as logs, pytest.raises(TemporarilyUnavailable):
        await neighbour.get(f"/status/{status}")
    assert [log["status"] for log in logs if log["log_level"] == "error"] == [status] * errors
