"""What the tests of the catalog share."""

import pytest


@pytest.fixture
def anyio_backend() -> str:
    """Async tests run on asyncio, as our servers do."""
    return "asyncio"
