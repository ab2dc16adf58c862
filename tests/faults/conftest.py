"""One running platform, every service in a process of its own, for all that is done to it here."""

from collections.abc import Iterator

import pytest

from tests.conftest import cloned
from tests.world import World, running_world


@pytest.fixture(scope="package")
def hostile_world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """The platform, apart; whoever breaks something in it mends it again."""
    with cloned() as stores, running_world(stores, tmp_path_factory.mktemp("world"), home="apart") as world:
        yield world
