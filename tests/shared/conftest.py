"""What the tests of the ground share."""

import sys
from collections.abc import Iterator
from types import ModuleType

import pytest
import structlog

from tests.conftest import Stores
from tests.shared.echo import Echo, serving
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


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    """Logs are kept from being drawn: a coloured traceback takes seconds."""
    with structlog.testing.capture_logs():
        yield


@pytest.fixture
def echo() -> Iterator[Echo]:
    """A service that can be imported, as `asgi://` wants it."""
    echo = Echo()
    module = ModuleType("echoing_service")
    module.app = echo.app  # type: ignore[attr-defined]
    sys.modules["echoing_service"] = module
    yield echo
    del sys.modules["echoing_service"]


@pytest.fixture(params=["asgi", "http"])
def url(request: pytest.FixtureRequest, echo: Echo) -> Iterator[str]:
    """Both homes of the service."""
    if request.param == "asgi":
        yield "asgi://echoing_service"
        return
    with serving(echo.app) as url:
        yield url
