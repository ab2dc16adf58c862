"""Figures: requests by route template, tables when somebody looks, and nothing that names a person."""

import urllib.request
from contextlib import closing

import pytest
from fastapi import APIRouter

from cli.embedded.children import free_port
from shared.application import create_app
from shared.backlog import outbox_gauges
from shared.database import Database
from shared.health import Health, serve_health
from shared.identity import HEADER, Signer
from shared.metrics import TableGauges, exposition
from shared.outbox import publish
from shared.principal import Principal
from tests.shared.ground import NOWHERE, PRIVATE, Ground, calling, module_named, outbox


def things() -> APIRouter:
    """A route whose path holds an id."""
    router = APIRouter()

    @router.get("/things/{id}")
    def show(id: str) -> str:  # noqa: A002
        """One of them."""
        return id

    return router


@pytest.mark.anyio
async def test_requests_are_counted_by_their_route_not_by_what_they_ask_for(ground: Ground) -> None:
    app = create_app(module_named("measured", controllers=(things(),)), ground.settings)
    token = Signer(PRIVATE, issuer="gateway").token(Principal(role="service", name="gateway"), "measured")
    async with calling(app, **{HEADER: token}) as client:
        for path in ("/things/secret-one", "/things/secret-two", "/nowhere/secret-three"):
            await client.get(path)
    shown = exposition()().decode()
    counted = 'tickgate_requests_total{method="GET",route="/things/{id}",service="measured",status="200"} 2.0'
    assert counted in shown
    assert 'route="unmatched",service="measured",status="404"} 1.0' in shown
    assert 'tickgate_request_seconds_count{method="GET",route="/things/{id}",service="measured"} 2.0' in shown
    assert not [line for line in shown.splitlines() if "measured" in line and "secret" in line]


def test_tables_are_read_when_somebody_looks(ground: Ground) -> None:
    gauges = TableGauges(ground.database, [lambda session: outbox_gauges(outbox, session)], service="ground")
    with ground.database.transaction() as session:
        publish(session, outbox, "grant.ended", {"number": 1})
    port = free_port()
    with (
        serve_health(Health({}), host="127.0.0.1", port=port, metrics=exposition(gauges)),
        urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=5) as answer,
    ):
        shown = answer.read().decode()
    assert answer.headers["Content-Type"].startswith("text/plain; version=0.0.4")
    assert 'tickgate_outbox_depth{service="ground"} 1.0' in shown
    assert 'tickgate_outbox_dead{service="ground"} 0.0' in shown
    assert "tickgate_outbox_oldest_seconds" in shown


def test_while_the_database_is_away_the_rest_is_shown() -> None:
    with closing(Database(NOWHERE, pool_size=1)) as gone:
        shown = exposition(TableGauges(gone, [lambda session: outbox_gauges(outbox, session)], service="ground"))()
    assert b"tickgate_outbox" not in shown
    assert b"python_info" in shown
