"""A pricing service on a database of its own, beside the real catalog and a stand-in for entitlements."""

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, closing
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from uuid import UUID

import httpx
import psycopg
import pytest
from sqlalchemy import event
from sqlalchemy.orm import Session

from services.pricing.module import module
from services.pricing.prices.service import PriceService
from services.pricing.settings import PricingSettings
from shared.application import create_app
from shared.clock import DatabaseClock
from shared.database import Database
from shared.identity import HEADER, Signer
from shared.principal import Principal, Role
from tests.conftest import Stores
from tests.services.pricing import entitlements
from tests.serving import listening

ACCOUNT = UUID("00000000-0000-7000-8000-000000000001")
T0 = datetime(2025, 6, 10, tzinfo=UTC)
HOUR = timedelta(hours=1)
DAY = timedelta(days=1)


@dataclass
class FixedClock:
    """A clock that only tests move."""

    at: datetime

    def now(self, _session: Session) -> datetime:
        return self.at


@dataclass(frozen=True)
class Bar:
    """A sample as any source gives it."""

    timestamp: datetime
    price: Decimal


def bars(count: int, *, step: timedelta = HOUR, start: datetime = T0, price: str = "100.50") -> list[Bar]:
    """Bars in a row, each a dollar above the one before."""
    return [Bar(start + n * step, Decimal(price) + n) for n in range(count)]


@pytest.fixture
def session(session_as: Callable[[str], Session]) -> Session:
    """A session as the pricing's app role; what it writes is undone."""
    return session_as("pricing")


@pytest.fixture
def settings(stores: Stores, key_pair: tuple[str, str], monkeypatch: pytest.MonkeyPatch) -> PricingSettings:
    """Pricing's settings, and the catalog's in the environment; BTC and ETH are on offer, and SOL without a feed."""
    private, public = key_pair
    keys = {"gateway": [public], "pricing": [public]}
    monkeypatch.setenv("TICKGATE_CATALOG_DATABASE_URL", stores.app_url("catalog"))
    monkeypatch.setenv("TICKGATE_IDENTITY_PUBLIC_KEYS", json.dumps(keys))
    monkeypatch.setenv("TICKGATE_CURSOR_SECRET", "only for these tests")
    with psycopg.connect(stores.app_url("catalog")) as catalog:
        catalog.execute(
            """insert into catalog.datasets (symbol, name, kind, sources, created_at) values
                ('BTC', 'Bitcoin', 'price', '{"coincap": "bitcoin"}', now()),
                ('ETH', 'Ethereum', 'price', '{"coincap": "ethereum"}', now()),
                ('SOL', 'Solana', 'price', '{}', now())"""
        )
        catalog.execute(
            """insert into catalog.offerings (symbol, frequency, offered_at, retired_at) values
                ('BTC', '1h', now(), null), ('BTC', '1d', now(), null), ('BTC', '1mo', now(), null),
                ('ETH', '1d', now(), null), ('ETH', '1h', now(), now()), ('SOL', '1d', now(), null)"""
        )
    entitlements.reset()
    return PricingSettings(
        pricing_database_url=stores.app_url("pricing"),
        entitlements_url="asgi://tests.services.pricing.entitlements",
        identity_private_key=private,
        identity_public_keys=keys,
        cursor_secret="only for these tests",
    )


@pytest.fixture
def database(stores: Stores) -> Iterator[Database]:
    """Pricing's own database, for what commits."""
    with closing(Database(stores.app_url("pricing"))) as opened:
        yield opened


@dataclass
class Service:
    """The running service as its callers see it, and its database."""

    client: httpx.Client
    database: Database
    signer: Signer
    statements: list[str]

    def get(
        self,
        path: str,
        *,
        role: Role = "quant",
        accept: str | None = None,
        known: str | None = None,
        **query: str | int,
    ) -> httpx.Response:
        """GET as an account with a role, or as nobody; `known` is the tag that the caller has an answer under."""
        headers = self._headers(role, accept) | ({"If-None-Match": known} if known else {})
        return self.client.get(path, params=query or None, headers=headers)

    def stream(self, path: str, **query: str | int) -> AbstractContextManager[httpx.Response]:
        """GET an answer piece by piece."""
        return self.client.stream("GET", path, params=query, headers=self._headers("quant", None))

    def post(self, path: str, body: object = None, *, role: Role = "ops") -> httpx.Response:
        """POST as an account with a role."""
        return self.client.post(path, json=body, headers=self._headers(role, None))

    def load(
        self,
        dataset: str,
        frequency: str,
        samples: Sequence[Bar],
        source: str = "coincap",
        seen_at: datetime | None = None,
    ) -> None:
        """Store samples, committed."""
        with self.database.transaction() as session:
            PriceService(session, DatabaseClock()).load(dataset, frequency, source, samples, seen_at=seen_at)

    def _headers(self, role: Role, accept: str | None) -> dict[str, str]:
        account = None if role == "anonymous" else ACCOUNT
        token = self.signer.token(Principal(role=role, name="test", account=account), "pricing")
        return {HEADER: token, **({"Accept": accept} if accept else {})}


@pytest.fixture
def service(settings: PricingSettings, database: Database) -> Iterator[Service]:
    """The service, listening, on a database of its own."""
    signer = Signer(settings.identity_private_key, issuer="gateway")
    app = create_app(module, settings)
    statements: list[str] = []
    with listening(app) as url, httpx.Client(base_url=url, timeout=20) as client:
        event.listen(app.state.database.engine, "before_cursor_execute", lambda *args: statements.append(args[2]))
        yield Service(client, database, signer, statements)
