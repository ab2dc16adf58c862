"""The running platforms that all this is done to, every service in a process of its own or all in one."""

from collections.abc import Iterator

import pytest

from tests.conftest import cloned
from tests.faults.sides import Between, Sides, running_sides
from tests.proof import HOMES
from tests.world import World, running_world


@pytest.fixture(scope="package")
def hostile_world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """The platform, apart; whoever breaks something in it mends it again."""
    with cloned() as stores, running_world(stores, tmp_path_factory.mktemp("world"), home="apart") as world:
        yield world


@pytest.fixture(scope="package", params=HOMES)
def sides(tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> Iterator[Sides]:
    """Two gateways, each with its services, in either home."""
    with cloned() as stores, running_sides(stores, tmp_path_factory.mktemp("sides"), home=request.param) as sides:
        yield sides


@pytest.fixture
def between(sides: Sides) -> Between:
    """What stands between the second pricing and its entitlements."""
    if sides.between is None:
        pytest.skip("composed, nothing stands between them")
    return sides.between
