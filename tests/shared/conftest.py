"""What the tests of the ground share."""

from collections.abc import Iterator

import pytest

from tests.conftest import Stores
from tests.shared.ground import Ground, lay


@pytest.fixture
def anyio_backend() -> str:
    """Async tests run on asyncio, as our servers do."""
    return "asyncio"


@pytest.fixture
def ground(stores: Stores) -> Iterator[Ground]:
    """A service with its tables in a database of the test's own."""
    with lay(stores) as ground:
        yield ground
