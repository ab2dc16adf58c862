"""The gateway over real services and real sockets, with the rows of the catalog and of the keys only."""

import json
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass

import httpx
import pytest
from sqlalchemy.orm import Session

from cli.embedded.children import free_port
from gateway.keys.schemas import NewApiKeyOut
from gateway.keys.secrets import KeySecrets
from gateway.keys.service import KeyService
from gateway.main import create_gateway
from gateway.routes import ROUTES
from gateway.settings import GatewaySettings
from shared.clock import DatabaseClock
from shared.database import Database
from shared.principal import Principal
from tests.conftest import Stores
from tests.serving import listening

PEPPER = "a pepper for tests only"
CLI = Principal(role="service", name="cli")
NEAR_ROUTES = tuple(route for route in ROUTES if route.service in ("catalog", "keys"))


@dataclass(frozen=True)
class Running:
    """A gateway that listens, and a key of each role."""

    url: str
    inner_url: str
    keys: dict[str, str]
    stores: Stores

    def call(self, method: str, path: str, *, role: str | None = None, **options: object) -> httpx.Response:
        """One call, with the key of a role or with none."""
        headers = {**({"X-API-Key": self.keys[role]} if role else {}), **options.pop("headers", {})}  # type: ignore[dict-item]
        return httpx.request(method, self.url + path, headers=headers, **options)  # type: ignore[arg-type]


@contextmanager
def key_service(stores: Stores) -> Iterator[KeyService]:
    """The use cases as the command line has them: one plain transaction, committed."""
    with closing(Database(stores.app_url("gateway"), pool_size=1)) as database, database.transaction() as session:
        yield KeyService(session, DatabaseClock(), KeySecrets(PEPPER))


def by_itself(statement: str) -> bool:
    """Whether a process makes this statement by itself, whoever asks for what: the change feed's and the seals'."""
    about_requests = "api_keys" in statement or "grants" in statement
    return not about_requests and any(name in statement for name in ("coherence", "audit_seals", "pg_try_advisory"))


@pytest.fixture(scope="session")
def environment(key_pair: tuple[str, str]) -> Callable[[Stores], dict[str, str]]:
    """What every process is told, on given stores."""
    private, public = key_pair

    def tell(stores: Stores) -> dict[str, str]:
        secrets = {"TICKGATE_KEY_PEPPER": PEPPER, "TICKGATE_CURSOR_SECRET": "only for these tests"}
        issuers = json.dumps({"gateway": [public], "entitlements": [public]})
        identity = {"TICKGATE_IDENTITY_PRIVATE_KEY": private, "TICKGATE_IDENTITY_PUBLIC_KEYS": issuers}
        return {**stores.environment(), **secrets, **identity}

    return tell


@pytest.fixture(scope="module")
def told(module_stores: Stores, environment: Callable[[Stores], dict[str, str]]) -> Iterator[GatewaySettings]:
    """The gateway's settings, and the services' in the environment, on the module's database."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in environment(module_stores).items():
            patch.setenv(name, value)
        yield GatewaySettings.load()


@pytest.fixture(scope="module")
def gateway(told: GatewaySettings, module_stores: Stores) -> Iterator[Running]:
    """A gateway that listens, before real services."""
    with key_service(module_stores) as service:
        keys = {role: service.create(name=f"the {role}", role=role, by=CLI).key for role in ("quant", "ops", "admin")}
    port = free_port()
    with listening(create_gateway(told.model_copy(update={"internal_port": port}), NEAR_ROUTES)) as url:
        yield Running(url, f"http://127.0.0.1:{port}", keys, module_stores)


@pytest.fixture
def session(session_as: Callable[[str], Session]) -> Session:
    """A session as the gateway's app role; what it writes is undone."""
    return session_as("gateway")


@pytest.fixture
def keys(session: Session) -> KeyService:
    """The use cases of keys, in a transaction that is undone."""
    return KeyService(session, DatabaseClock(), KeySecrets(PEPPER))


@pytest.fixture
def admin(keys: KeyService) -> NewApiKeyOut:
    """An admin's key in that transaction."""
    return keys.create(name="the first admin", role="admin", by=CLI)
