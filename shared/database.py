"""One PostgreSQL schema per service: its tables' ground, its connection pool and its transactions."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime

from sqlalchemy import DateTime, Dialect, MetaData, create_engine, event
from sqlalchemy.orm import Session, sessionmaker
from sqlalchemy.types import TypeDecorator

NAMING = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s",
    "pk": "pk_%(table_name)s",
}
IDLE_SECONDS = 3  # a worker or relay that was stopped in the middle must not keep others from its rows for long


class UtcDateTime(TypeDecorator[datetime]):
    """`timestamptz` that refuses naive datetimes and always gives UTC back."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:  # noqa: ARG002
        """Refuse what has no zone: it would silently mean the server's."""
        if value is not None and value.tzinfo is None:
            raise ValueError("a datetime without a zone")
        return value

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:  # noqa: ARG002
        """UTC, whatever the session's zone."""
        return value if value is None else value.astimezone(UTC)


def schema_metadata(schema: str) -> MetaData:
    """The metadata of a service's schema, with stable constraint names."""
    return MetaData(schema=schema, naming_convention=NAMING)


class Database:
    """A pool of connections to one service's schema, as its app role.

    A connection is waited for at most half a second (`sqlalchemy.exc.TimeoutError` then). Whoever does nothing in a
    transaction for `idle_seconds` loses it, and the locks that it holds.
    """

    def __init__(self, url: str, *, pool_size: int = 8, idle_seconds: int | None = None) -> None:
        options = "-c timezone=UTC"
        if idle_seconds is not None:
            options += f" -c idle_in_transaction_session_timeout={idle_seconds}s"
        self.engine = create_engine(
            driver_url(url),
            pool_size=pool_size,
            max_overflow=0,
            pool_timeout=0.5,
            pool_pre_ping=True,
            connect_args={"options": options, "connect_timeout": 2, "application_name": "tickgate"},
        )
        self._sessions = sessionmaker(self.engine, expire_on_commit=False)

    @contextmanager
    def transaction(self) -> Iterator[Session]:
        """A session whose work is committed when the block ends, or undone when it raises."""
        with self._sessions() as session:
            try:
                yield session
                session.commit()
            except BaseException:
                session.rollback()
                raise

    def close(self) -> None:
        """Give all connections back to the server, those that a thread still uses when it is done."""
        event.listen(self.engine, "checkin", lambda _connection, entry: entry.close())
        self.engine.dispose()


def of_one_snapshot(session: Session) -> Session:
    """The session, whose transaction has read nothing yet: all of its statements will see what the first one does."""
    session.connection(execution_options={"isolation_level": "REPEATABLE READ"})
    return session


def driver_url(url: str) -> str:
    """The same address, spoken to with psycopg 3."""
    return url.replace("postgresql://", "postgresql+psycopg://", 1)
