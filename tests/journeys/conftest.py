"""The platform that a module's journeys share."""

from collections.abc import Iterator

import httpx
import pytest

from tests.conftest import cloned
from tests.proof import HOMES
from tests.world import World, running_world, until


@pytest.fixture(scope="module", params=HOMES)
def world(tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> Iterator[World]:
    """A running platform with its sample history loaded, in the home that was asked for."""
    with (
        cloned() as stores,
        running_world(stores, tmp_path_factory.mktemp("world"), home=request.param) as world,
    ):
        with world.person("anyone") as anyone:
            until(lambda: _filled(anyone), "the sample history")
        yield world


def _filled(anyone: httpx.Client) -> bool:
    answers = [anyone.get(f"/v1/datasets/{symbol}/coverage") for symbol in ("BTC", "ETH")]
    return all(answer.is_success and all(s["rows"] > 0 for s in answer.json()["data"]) for answer in answers)


@pytest.fixture
def anyone(world: World) -> Iterator[httpx.Client]:
    """Somebody without a key."""
    with world.person("anyone") as client:
        yield client


@pytest.fixture
def ops(world: World) -> Iterator[httpx.Client]:
    """A member of the vendor's staff."""
    with world.person("ops") as client:
        yield client


@pytest.fixture
def admin(world: World) -> Iterator[httpx.Client]:
    """The administrator."""
    with world.person("admin") as client:
        yield client


@pytest.fixture
def quant(world: World, admin: httpx.Client, request: pytest.FixtureRequest) -> Iterator[httpx.Client]:
    """A Quant of the test's own, who holds nothing yet."""
    made = admin.post("/v1/api-keys", json={"name": request.node.name[:200], "role": "quant"})
    with httpx.Client(base_url=world.platform.url, headers={"X-API-Key": made.json()["key"]}, timeout=20) as client:
        yield client
