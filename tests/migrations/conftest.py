"""An empty database, and the ways to migrate it."""

import os
import uuid
from collections.abc import Iterator
from contextlib import closing

import psycopg
import pytest
from psycopg import sql

from cli.migrate import migrate
from cli.settings import SCHEMAS, OperatorSettings
from tests.conftest import TEMPLATE
from tests.migrations.database import PASSWORD, Empty


def _made() -> Iterator[Empty]:
    server = os.environ[TEMPLATE].rpartition("/")[0]
    name = f"tickgate_migrations_{uuid.uuid4().hex[:8]}"
    with closing(psycopg.connect(f"{server}/postgres", autocommit=True)) as connection:
        connection.execute(sql.SQL("create database {}").format(sql.Identifier(name)))
        address = f"{server.rpartition('@')[2]}/{name}"
        urls = {f"{s}_database_url": f"postgresql://{name}_{s}_app:{PASSWORD}@{address}" for s in SCHEMAS}
        yield Empty(OperatorSettings.model_validate({"database_url": f"{server}/{name}", **urls}))
        connection.execute(sql.SQL("drop database {} with (force)").format(sql.Identifier(name)))
        for (role,) in connection.execute("select rolname from pg_roles where starts_with(rolname, %s)", [name]):
            connection.execute(sql.SQL("drop role {}").format(sql.Identifier(role)))


@pytest.fixture
def empty() -> Iterator[Empty]:
    """A database with nothing in it."""
    yield from _made()


@pytest.fixture(scope="module")
def migrated() -> Iterator[Empty]:
    """A database as `tickgate migrate` leaves it; a module's tests share it and keep nothing."""
    for database in _made():
        migrate(database.settings)
        yield database
