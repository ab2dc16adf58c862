"""A made-up service with every table that the ground offers, on a real database of its own."""

import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, closing, contextmanager
from dataclasses import dataclass
from typing import Any

import httpx
import psycopg
from fastapi import FastAPI
from sqlalchemy import Column, Identity, Table, Text, create_engine, insert, make_url, text
from sqlalchemy import types as t
from sqlalchemy.orm import Session

from shared.audit import audit_table
from shared.database import Database, driver_url, schema_metadata
from shared.jobs import job_runs_table
from shared.outbox import Event, outbox_table
from shared.settings import ServiceSettings
from tests.conftest import Stores

metadata = schema_metadata("ground")
outbox = outbox_table(metadata)
job_runs = job_runs_table(metadata)
audit_events = audit_table(metadata)
effects = Table(
    "effects", metadata, Column("id", t.BigInteger, Identity(), primary_key=True), Column("what", Text, nullable=False)
)


class GroundSettings(ServiceSettings):
    """The made-up service's settings."""

    ground_database_url: str
    unreachable_url: str = "http://127.0.0.1:1"

    @property
    def database(self) -> str:
        """The URL of its app role."""
        return self.ground_database_url


@dataclass(frozen=True)
class Ground:
    """The tables, seen as the app role (`database`) and as their owner (`sql`)."""

    database: Database
    settings: GroundSettings
    owner_url: str

    def sql(self, statement: str, *values: Any) -> list[tuple[Any, ...]]:
        """Run one statement as the owner; its rows, if it gives any."""
        with closing(psycopg.connect(self.owner_url, autocommit=True)) as connection:
            cursor = connection.execute(statement, values)
            return cursor.fetchall() if cursor.description else []

    def effects(self) -> list[str]:
        """What was done, in order."""
        return [what for (what,) in self.sql("select what from ground.effects order by id")]


def act(session: Session, event: Event) -> None:
    """A handler whose effect can be counted."""
    session.execute(insert(effects).values(what=f"{event.type} {event.payload['number']}"))


@contextmanager
def lay(stores: Stores) -> Iterator[Ground]:
    """Make the tables in a fresh database, usable by the catalog's app role."""
    url = stores.app_url("catalog")
    engine = create_engine(driver_url(stores.database_url))
    with engine.begin() as connection:
        connection.execute(text("create schema ground"))
        metadata.create_all(connection)
        role = make_url(url).username
        connection.execute(text(f'grant usage on schema ground to "{role}"'))
        connection.execute(text(f'grant select, insert, update, delete on all tables in schema ground to "{role}"'))
    engine.dispose()
    settings = GroundSettings(
        ground_database_url=url, redis_url=stores.redis_url, identity_public_keys={}, cursor_secret="s" * 16
    )
    with closing(Database(url)) as database:
        yield Ground(database, settings, stores.database_url)


@asynccontextmanager
async def calling(app: FastAPI, **headers: str) -> AsyncIterator[httpx.AsyncClient]:
    """A client of the application, started; what goes wrong inside is answered, as a server would."""
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=transport, base_url="http://service", headers=headers) as client,
    ):
        yield client


def until(condition: Callable[[], bool], *, seconds: float = 10) -> bool:
    """Whether the condition, which other threads bring about, comes true in time."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if condition():
            return True
        time.sleep(0.02)
    return condition()
