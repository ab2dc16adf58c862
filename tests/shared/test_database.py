"""A transaction is all or nothing, instants have a zone, and nobody waits long for a connection."""

import time
from contextlib import ExitStack, closing
from datetime import UTC, datetime, timedelta, timezone

import pytest
from sqlalchemy import Column, MetaData, Table, insert, select, text
from sqlalchemy.exc import IntegrityError, OperationalError, StatementError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from shared.database import Database, UtcDateTime, driver_url
from tests.conftest import Stores
from tests.shared.ground import Ground, effects

MOMENTS = Table("moments", MetaData(), Column("at", UtcDateTime), prefixes=["temporary"])


def test_a_transaction_that_ends_well_is_kept(ground: Ground) -> None:
    with ground.database.transaction() as session:
        session.execute(insert(effects).values(what="kept"))

    assert ground.effects() == ["kept"]


@pytest.mark.parametrize("reason", [ValueError, KeyboardInterrupt])
def test_a_transaction_that_raises_is_undone(ground: Ground, reason: type[BaseException]) -> None:
    with pytest.raises(reason), ground.database.transaction() as session:  # noqa: PT012
        session.execute(insert(effects).values(what="undone"))
        raise reason

    assert ground.effects() == []


def test_a_commit_that_fails_raises(ground: Ground) -> None:
    ground.sql("alter table ground.effects add constraint one unique (what) deferrable initially deferred")

    with pytest.raises(IntegrityError), ground.database.transaction() as session:
        session.execute(insert(effects), [{"what": "twice"}, {"what": "twice"}])

    assert ground.effects() == []


def test_a_naive_datetime_is_refused(scratch: Stores) -> None:
    naive = datetime(2026, 1, 31)  # noqa: DTZ001
    with (
        closing(Database(scratch.app_url("catalog"))) as database,
        pytest.raises(StatementError, match="without a zone"),
        database.transaction() as session,
    ):
        session.execute(insert(MOMENTS).values(at=naive))


def test_an_instant_comes_back_in_utc_whatever_the_zones_are(scratch: Stores) -> None:
    given = datetime(2026, 1, 31, 23, 30, tzinfo=timezone(timedelta(hours=-5)))
    with closing(Database(scratch.database_url)) as database, database.engine.connect() as connection:
        connection.execute(text("set timezone = 'Asia/Tokyo'"))
        MOMENTS.create(connection)
        connection.execute(insert(MOMENTS).values(at=given))
        found = connection.execute(select(MOMENTS.c.at)).scalar_one()

    assert found == given
    assert found.tzinfo is UTC


def test_an_exhausted_pool_raises_within_six_tenths_of_a_second(scratch: Stores) -> None:
    with closing(Database(scratch.app_url("catalog"), pool_size=2)) as database, ExitStack() as held:
        for _ in range(2):
            held.enter_context(database.engine.connect())
        started = time.monotonic()
        with pytest.raises(PoolTimeout):
            database.engine.connect()
        assert 0.4 < time.monotonic() - started < 0.6


def test_a_connection_that_the_server_ended_is_replaced(ground: Ground) -> None:
    with ground.database.transaction() as session:
        session.execute(text("select 1"))
    ground.end_connections()

    with ground.database.transaction() as session:
        assert session.execute(text("select 1")).scalar_one() == 1


def test_a_database_that_is_away_raises() -> None:
    with closing(Database("postgresql://nobody@127.0.0.1:1/nothing")) as database, pytest.raises(OperationalError):
        database.engine.connect()


def test_only_the_driver_is_added_to_the_address() -> None:
    url = "postgresql://a:postgresql://@h/d"
    assert driver_url(url) == "postgresql+psycopg://a:postgresql://@h/d"


def test_a_connection_that_is_still_used_when_the_database_is_closed_is_closed_after_its_use(scratch: Stores) -> None:
    database = Database(scratch.app_url("catalog"), pool_size=1)
    with database.transaction() as session:
        used = session.connection().connection.driver_connection
        database.close()
        assert session.execute(text("select 1")).scalar_one() == 1
    assert used is not None
    assert used.closed
