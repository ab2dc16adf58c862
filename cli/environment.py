"""The settings that a command and all processes it starts run under: given, of a running platform, or embedded."""

import json
import os
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

from cli.embedded.account import write_private
from cli.embedded.children import is_running
from cli.embedded.servers import embedded_servers
from cli.migrate import migrate
from cli.secrets import embedded_secrets
from cli.settings import PREFIX, SCHEMAS, OperatorSettings
from shared.database import Database
from shared.module import Module
from shared.revision import check_revision
from shared.settings import SettingsMissing

RUNNING = "running.json"


@dataclass(frozen=True)
class Running:
    """A platform that runs: the settings of its processes, and where each says that it is ready."""

    pid: int
    environment: dict[str, str]
    ready: dict[str, str]


class SettingsClash(Exception):
    """Only one of TICKGATE_DATABASE_URL and TICKGATE_REDIS_URL is set; give both, or neither for embedded servers."""


@contextmanager
def environment(settings: OperatorSettings) -> Iterator[dict[str, str]]:
    """A migrated database and a Redis, as settings; embedded servers run as long as the block."""
    if bool(settings.database_url) != bool(settings.redis_url):
        raise SettingsClash(SettingsClash.__doc__)
    if settings.database_url:
        migrate_given(settings)
        settings.home.mkdir(parents=True, exist_ok=True, mode=0o700)
        yield _given()
        return
    with embedded_servers(settings.home) as servers:
        env = {f"{PREFIX}DATABASE_URL": servers.database_url, f"{PREFIX}REDIS_URL": servers.redis_url}
        env |= embedded_secrets(settings.home, servers.database_url) | _given()
        migrate(OperatorSettings.model_validate({k.removeprefix(PREFIX).lower(): v for k, v in env.items()}))
        yield env


def migrate_given(settings: OperatorSettings) -> None:
    """Migrate the database that the settings name; raises SettingsMissing where a role's URL is not given."""
    if not settings.database_url:
        raise SettingsMissing(f"{PREFIX}DATABASE_URL: needed to migrate; only the owner can")
    missing = [_variable(schema) for schema in SCHEMAS if not settings.app_url(schema)]
    if missing:
        raise SettingsMissing("\n".join(f"{name}: needed beside {PREFIX}DATABASE_URL" for name in missing))
    migrate(settings)


@contextmanager
def operator_environment(settings: OperatorSettings, *modules: Module) -> Iterator[None]:
    """The same for a chore's own process, which works on the schemas of these modules.

    Stores of one's own are taken as they are, and only what the chore needs has to be told; beside a running
    `tickgate up`, that one's servers are used. Raises SettingsMissing, or WrongRevision where there is to migrate.
    """
    with _stores(settings):
        for module in modules:
            with closing(Database(app_url(module), pool_size=1)) as database:
                check_revision(database, module)
        yield


def app_url(module: Module) -> str:
    """Where a module's schema is, for a chore that needs no other of its settings; raises SettingsMissing."""
    schema = str(module.metadata.schema)
    url = OperatorSettings.load().app_url(schema)
    if not url:
        raise SettingsMissing(f"{_variable(schema)}: needed for this")
    return url


@contextmanager
def _stores(settings: OperatorSettings) -> Iterator[None]:
    if settings.names_stores:
        yield
        return
    beside = running(settings.home)
    if beside is not None:
        os.environ.update(beside.environment)
        yield
        return
    with environment(settings) as env:
        os.environ.update(env)
        yield


@contextmanager
def announced(home: Path, env: Mapping[str, str], ready: Mapping[str, str]) -> Iterator[None]:
    """Let other commands find the platform that runs with these settings, and its processes' ready URLs."""
    file = home / RUNNING
    write_private(file, json.dumps({"pid": os.getpid(), "environment": dict(env), "ready": dict(ready)}))
    try:
        yield
    finally:
        file.unlink(missing_ok=True)


def running(home: Path) -> Running | None:
    """The platform that runs with this home; what a killed one left behind does not count."""
    file = home / RUNNING
    if not file.exists():
        return None
    content = json.loads(file.read_text())
    if not is_running(content["pid"]):
        return None
    return Running(content["pid"], dict(content["environment"]), dict(content.get("ready", {})))


def _given() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if name.startswith(PREFIX)}


def _variable(schema: str) -> str:
    return f"{PREFIX}{schema.upper()}_DATABASE_URL"
