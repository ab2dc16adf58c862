"""The stores every test runs on: real PostgreSQL and Valkey, embedded unless the settings name others."""

import os
import re
import shutil
import tempfile
import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

import psycopg
import pytest
from sqlalchemy.orm import Session

from cli.embedded.servers import embedded_servers
from cli.migrate import migrate
from cli.settings import SCHEMAS, OperatorSettings
from shared.database import Database
from shared.identity import new_key_pair
from tests.kept import in_files

ROOT = Path(__file__).parent.parent
HISTORY = ROOT.parent / "shared" / "data"
TEMPLATE = "TICKGATE_TEST_TEMPLATE_URL"
REDIS = "TICKGATE_TEST_REDIS_URL"
PASSWORD = "only-for-tests"
MEMORY, ROOM = Path("/dev/shm"), 4 * 2**30  # noqa: S108 - mkdtemp makes a folder of one's own there
TOGETHER = ("tests/faults",)  # folders whose tests run on one platform

_started = ExitStack()


@dataclass(frozen=True)
class Stores:
    """A database of one's own and a Redis."""

    database_url: str
    redis_url: str

    def app_url(self, schema: str) -> str:
        """The URL of a schema's app role."""
        return _app_url(self.database_url, schema)

    def environment(self) -> dict[str, str]:
        """The settings of every process on these stores."""
        urls = {f"TICKGATE_{schema.upper()}_DATABASE_URL": self.app_url(schema) for schema in SCHEMAS}
        return {"TICKGATE_DATABASE_URL": self.database_url, "TICKGATE_REDIS_URL": self.redis_url, **urls}


def _app_url(database_url: str, schema: str) -> str:
    address = database_url.rpartition("@")[2]
    owner = os.environ[TEMPLATE].rpartition("/")[2]
    return f"postgresql://{owner}_{schema}_app:{PASSWORD}@{address}"


def pytest_configure(config: pytest.Config) -> None:
    """Start the servers and migrate a template, once: the process that collects does it for all its workers."""
    if hasattr(config, "workerinput"):
        return
    database_url, redis_url = os.environ.get("TICKGATE_DATABASE_URL"), os.environ.get("TICKGATE_REDIS_URL")
    if not (database_url and redis_url):
        home = new_folder()
        _started.callback(shutil.rmtree, home, ignore_errors=True)
        _started.callback(_expect_no_key, home)
        servers = _started.enter_context(embedded_servers(home, fast=True))
        database_url, redis_url = servers.database_url, servers.redis_url
    name = f"tickgate_test_{uuid.uuid4().hex[:8]}"
    _execute(database_url, f'create database "{name}"')
    os.environ[TEMPLATE] = f"{database_url.rpartition('/')[0]}/{name}"
    os.environ[REDIS] = redis_url
    stores = Stores(os.environ[TEMPLATE], redis_url)
    migrate(
        OperatorSettings.model_validate(
            {name.removeprefix("TICKGATE_").lower(): value for name, value in stores.environment().items()}
        )
    )


def new_folder() -> Path:
    """A new folder, in memory where there is room: a database is made there in 15 ms, on a disk in 300."""
    roomy = os.access(MEMORY, os.W_OK) and shutil.disk_usage(MEMORY).free > ROOM
    return Path(tempfile.mkdtemp(prefix="tickgate-test-", dir=MEMORY if roomy else None))


def _expect_no_key(home: Path) -> None:
    """Whatever all tests did: their servers, which have stopped, kept no key in a table, nor logged one (K6)."""
    assert in_files(home) == []


def pytest_unconfigure(config: pytest.Config) -> None:
    """Stop what was started."""
    _started.close()


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: object) -> object:
    """Tests that share what is costly to start go to one worker, so that it is started once."""
    from xdist.scheduler import LoadScopeScheduling  # type: ignore[import-untyped]  # noqa: PLC0415 - if it is there

    class BySharing(LoadScopeScheduling):  # type: ignore[misc]
        """A file's tests share; in some folders all of them; those of another home do not."""

        def _split_scope(self, nodeid: str) -> str:
            file, _, test = nodeid.partition("::")
            folder = file.rpartition("/")[0]
            home = re.search(r"\b(apart|composed)\b", test.partition("[")[2])
            return f"{folder if folder in TOGETHER else file} {home[1] if home else ''}"

    return BySharing(config, log)


def _execute(url: str, *statements: str) -> None:
    with closing(psycopg.connect(url, autocommit=True)) as connection:
        for statement in statements:
            connection.execute(statement)


@contextmanager
def cloned() -> Iterator[Stores]:
    """A migrated, empty database of one's own, dropped at the end of the block."""
    template = os.environ[TEMPLATE]
    server, _, source = template.rpartition("/")
    name = f"{source}_{uuid.uuid4().hex[:8]}"
    _execute(f"{server}/postgres", f'create database "{name}" template "{source}"')
    worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
    redis_url = f"{os.environ[REDIS].rpartition('/')[0]}/{worker % 16}"
    yield Stores(f"{server}/{name}", redis_url)
    _execute(f"{server}/postgres", f'drop database "{name}" with (force)')


@pytest.fixture
def stores() -> Iterator[Stores]:
    """A migrated, empty database for a test that commits."""
    with cloned() as stores:
        yield stores


@pytest.fixture(scope="module")
def module_stores() -> Iterator[Stores]:
    """A migrated, empty database that the tests of a module share."""
    with cloned() as stores:
        yield stores


@pytest.fixture(scope="session")
def scratch() -> Iterator[Stores]:
    """A migrated, empty database in which nothing is ever committed."""
    with cloned() as stores:
        yield stores


@pytest.fixture
def session_as(scratch: Stores) -> Iterator[Callable[[str], Session]]:
    """Opens a session as a schema's app role; what it writes is undone after the test."""
    with ExitStack() as stack:

        def open_session(schema: str) -> Session:
            database = stack.enter_context(closing(Database(scratch.app_url(schema), pool_size=1)))
            connection = stack.enter_context(database.engine.connect())
            return stack.enter_context(Session(connection, join_transaction_mode="create_savepoint"))

        yield open_session


@pytest.fixture(scope="session")
def key_pair() -> tuple[str, str]:
    """An Ed25519 pair: private, public."""
    return new_key_pair()


@pytest.fixture(scope="session")
def history() -> Path:
    """The folder of real price history; tests that need it are skipped where it is absent."""
    if not HISTORY.is_dir():
        pytest.skip(f"no folder {HISTORY}, which has the real price history")
    return HISTORY
