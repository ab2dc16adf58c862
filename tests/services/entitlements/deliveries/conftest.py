"""Where deliveries are committed."""

from collections.abc import Iterator
from contextlib import closing

import pytest

from shared.database import Database
from tests.conftest import Stores


@pytest.fixture
def database(stores: Stores) -> Iterator[Database]:
    """A database in which things are committed."""
    with closing(Database(stores.app_url("entitlements"), pool_size=2)) as database:
        yield database
