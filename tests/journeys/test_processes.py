"""Every process of the platform: it says how it is, its logs follow one request, and it stops in time."""

import json
import time
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from tests.conftest import cloned
from tests.proof import HOMES
from tests.world import World, running_world, until

ID = "one-request-from-the-door-to-the-inbox"
GRACE = 15.0


@pytest.fixture(scope="module", params=HOMES)
def world(tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> Iterator[World]:
    """A platform of this module's own, as its processes are stopped at the end."""
    with cloned() as stores, running_world(stores, tmp_path_factory.mktemp("world"), home=request.param) as world:
        yield world


def _lines(world: World, process: str) -> list[dict[str, Any]]:
    text = (world.logs / f"{process}.log").read_text()
    return [json.loads(line) for line in text.splitlines()]


def test_1_each_answers_whether_it_lives_and_is_ready(world: World) -> None:
    for name, process in world.platform.processes.items():
        for question in ("/livez", "/readyz"):
            answer = httpx.get(process.ready_url.replace("/readyz", question))
            assert answer.status_code == 200, (name, question, answer.text)


def test_2_one_request_id_leads_from_the_gateway_to_the_worker(world: World) -> None:
    with world.person("quant") as quant:
        body = {"dataset": "BTC", "frequencies": ["1d"]}
        asked = quant.post("/v1/access-requests", json=body, headers={"X-Request-Id": ID})
    assert (asked.status_code, asked.headers["X-Request-Id"]) == (201, ID)
    service = "entitlements" if "entitlements" in world.platform.processes else "gateway"
    for process, told in (("gateway", "request"), (service, "request"), ("worker", "event")):
        found = until(
            lambda process=process, told=told: [  # type: ignore[misc]  # bound to this round
                line for line in _lines(world, process) if line.get("request_id") == ID and line["event"] == told
            ],
            f"the line of {process}",
        )
        assert all(line["level"] == "info" for line in found)


def test_3_each_stops_in_time_when_it_is_told_to(world: World) -> None:
    for name, child in world.platform.children.items():
        started = time.monotonic()
        child.stop(timeout=GRACE)
        assert time.monotonic() - started < GRACE, name
        assert child.returncode == 0, (name, child.tail(5))
