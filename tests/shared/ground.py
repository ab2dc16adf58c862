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
from shared.coherence.owner import feed_tables
from shared.database import Database, driver_url, schema_metadata
from shared.idempotency import idempotency_table
from shared.identity import new_key_pair
from shared.jobs import job_runs_table
from shared.module import Module
from shared.outbox import Event, outbox_table
from shared.settings import ServiceSettings
from tests.conftest import Stores

metadata = schema_metadata("ground")
outbox = outbox_table(metadata)
job_runs = job_runs_table(metadata)
audit_events = audit_table(metadata)
feed = feed_tables(metadata)
idempotency = idempotency_table(metadata)
effects = Table(
    "effects", metadata, Column("id", t.BigInteger, Identity(), primary_key=True), Column("what", Text, nullable=False)
)
migrations = Table("migrations", metadata, Column("version_num", Text, primary_key=True))
PRIVATE, PUBLIC = new_key_pair()
NOWHERE = "postgresql://nobody@127.0.0.1:1/nothing"


class GroundSettings(ServiceSettings):
    """The made-up service's settings."""

    ground_database_url: str

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

    @property
    def name(self) -> str:
        """The database's name."""
        return self.owner_url.rpartition("/")[2]

    def end_connections(self) -> None:
        """End the app's connections to this database, as a restart would."""
        ours = "select pg_terminate_backend(pid) from pg_stat_activity where datname = %s and application_name = %s"
        self.sql(ours, self.name, "tickgate")

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
        connection.execute(insert(migrations).values(version_num="0001"))
        connection.execute(insert(feed.counter))
        role = make_url(url).username
        connection.execute(text(f'grant usage on schema ground to "{role}"'))
        connection.execute(text(f'grant select, insert, update, delete on all tables in schema ground to "{role}"'))
    engine.dispose()
    with closing(Database(url)) as database:
        yield Ground(database, settings_on(url, stores.redis_url), stores.database_url)


def settings_on(database_url: str = NOWHERE, redis_url: str = "") -> GroundSettings:
    """The made-up service's settings: it trusts the gateway, whose key is `PRIVATE`."""
    return GroundSettings(
        ground_database_url=database_url,
        redis_url=redis_url,
        identity_public_keys={"gateway": [PUBLIC]},
        cursor_secret="s" * 16,
    )


def module_named(name: str = "ground", **parts: Any) -> Module:
    """The made-up service, with what a test needs of it."""
    whole: dict[str, Any] = {"settings": GroundSettings, "metadata": metadata, "revision": "0001", "controllers": ()}
    return Module(name=name, **{**whole, **parts})


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
