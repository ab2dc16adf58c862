"""The entitlements under test: a desk in a transaction that is undone, and the HTTP application in this process."""

import asyncio
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from sqlalchemy.orm import Session

from services.entitlements.module import module
from services.entitlements.settings import EntitlementsSettings
from shared.application import create_app
from shared.identity import HEADER, Signer
from shared.principal import Principal
from tests.conftest import Stores
from tests.services.entitlements.desk import Desk
from tests.services.entitlements.fakes import OPS, SetClock

FAKES = "asgi://tests.services.entitlements.fakes"


@pytest.fixture
def session(session_as: Callable[[str], Session]) -> Session:
    """A session as the entitlements' app role."""
    return session_as("entitlements")


@pytest.fixture
def clock() -> SetClock:
    """The clock of the desk."""
    return SetClock()


@pytest.fixture
def desk(session: Session, clock: SetClock) -> Desk:
    """The use cases in a transaction that is undone."""
    return Desk(session, clock)


class Http:
    """Calls the application as somebody whom the gateway, or another service, vouches for."""

    def __init__(self, runner: asyncio.Runner, app: FastAPI, private_key: str) -> None:
        transport = httpx.ASGITransport(app)
        self.app = app
        self._runner = runner
        self._client = httpx.AsyncClient(transport=transport, base_url="http://entitlements")
        self._private_key = private_key

    def __call__(
        self, method: str, path: str, *, by: Principal | None = OPS, key: str | None = None, **how: Any
    ) -> httpx.Response:
        """One call, perhaps under an `Idempotency-Key`; without anybody it carries no identity."""
        issuer = "pricing" if by is not None and by.role == "service" else "gateway"
        headers = {} if by is None else {HEADER: Signer(self._private_key, issuer=issuer).token(by, "entitlements")}
        headers |= {} if key is None else {"Idempotency-Key": key}
        return self._runner.run(self._client.request(method, path, headers=headers, **how))

    def at_once(self, path: str, bodies: dict[str, Any], *, by: Principal = OPS) -> list[httpx.Response]:
        """Bodies that are posted at the same time, each under its `Idempotency-Key`."""
        token = Signer(self._private_key, issuer="gateway").token(by, "entitlements")

        async def post() -> list[httpx.Response]:
            calls = [
                self._client.post(path, json=body, headers={HEADER: token, "Idempotency-Key": key})
                for key, body in bodies.items()
            ]
            return await asyncio.gather(*calls)

        return self._runner.run(post())

    def close(self) -> None:
        """Leave."""
        self._runner.run(self._client.aclose())


@pytest.fixture(scope="module")
def http(module_stores: Stores, key_pair: tuple[str, str]) -> Iterator[Http]:
    """The application on a database that the module's tests share."""
    private, public = key_pair
    settings = EntitlementsSettings(
        entitlements_database_url=module_stores.app_url("entitlements"),
        catalog_url=FAKES,
        keys_url=FAKES,
        identity_private_key=private,
        identity_public_keys={"gateway": [public], "pricing": [public]},
        cursor_secret="only-for-these-tests",
        webhook_key="only-for-these-tests",
    )
    app = create_app(module, settings)
    with asyncio.Runner() as runner:
        lifespan = app.router.lifespan_context(app)
        runner.run(lifespan.__aenter__())
        client = Http(runner, app, private)
        yield client
        client.close()
        runner.run(lifespan.__aexit__(None, None, None))
