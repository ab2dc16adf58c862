"""The gateway's HTTP application, put together out of its settings and its rows."""

from collections.abc import AsyncIterator, Iterable
from contextlib import AsyncExitStack, asynccontextmanager, closing

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from gateway import docs, health
from gateway.database import feed
from gateway.door import Door
from gateway.forward import Forwarder
from gateway.guard import Guard, KnownKey
from gateway.headers import SafeHeaders
from gateway.inner import serve_keys
from gateway.keys.secrets import KeySecrets
from gateway.limits import Limit, Limits, Quota
from gateway.matcher import Matcher
from gateway.openapi import merge, parameters_of
from gateway.routes import ROUTES, Route
from gateway.settings import GatewaySettings
from gateway.surface import Document, Service, check_surface, read_surface
from gateway.tally import adding_up
from shared import identity
from shared.coherence.following import SchemaOwner, following
from shared.coherence.memory import Memory
from shared.correlation import Correlation
from shared.database import Database
from shared.identity import Signer
from shared.metrics import Measured
from shared.upstream import open_upstream


def create_gateway(settings: GatewaySettings | None = None, routes: Iterable[Route] = ROUTES) -> Starlette:
    """The gateway; without given settings it reads the environment when it starts.

    Starting raises StartRefused when the rows and the services do not agree.
    """
    routes = tuple(routes)

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        async with AsyncExitStack() as stack:
            app.state.door = await _open(settings or GatewaySettings.load(), routes, stack)
            yield

    named = (Middleware(kind, name="gateway") for kind in (Correlation, Measured))
    app = Starlette(lifespan=lifespan, middleware=[Middleware(SafeHeaders), *named])
    app.router.default = _enter  # the rows are the only routes
    return app


async def check(settings: GatewaySettings, routes: Iterable[Route] = ROUTES) -> None:
    """Open the gateway and close it again; raises StartRefused when it would not start."""
    app = create_gateway(settings, routes)
    async with app.router.lifespan_context(app):
        pass


async def _enter(scope: Scope, receive: Receive, send: Send) -> None:
    await scope["app"].state.door(scope, receive, send)


async def _open(settings: GatewaySettings, routes: tuple[Route, ...], stack: AsyncExitStack) -> Door:
    """The door, once every service has said what it offers; what it holds is closed with the stack."""
    database = Database(settings.gateway_database_url)
    stack.callback(database.close)
    await stack.enter_async_context(serve_keys(settings.host, settings.internal_port))
    services = {
        name: Service(
            name, settings.url_of(name), await stack.enter_async_context(open_upstream(settings.url_of(name)))
        )
        for name in sorted({route.service for route in routes})
    }
    signer = Signer(settings.identity_private_key, issuer=identity.GATEWAY)
    documents = await read_surface(services.values(), signer)
    check_surface(routes, documents)
    limits = _limits(settings)
    await stack.enter_async_context(adding_up(limits.on, settings.redis_url))
    memory: Memory[KnownKey] = Memory()
    owner = stack.enter_context(closing(SchemaOwner(settings.gateway_database_url, feed)))
    await stack.enter_async_context(following(memory, owner))
    guard = stack.enter_context(closing(Guard(database, KeySecrets.under(settings), memory)))
    return Door(
        pages=_pages(services, merge(routes, documents)),
        matcher=Matcher(routes),
        guard=guard,
        forwarder=Forwarder(services, signer, parameters_of(routes, documents)),
        limits=limits,
    )


def _limits(settings: GatewaySettings) -> Limits:
    quotas = {"key": Quota.parse(settings.rate_limit_key), "address": Quota.parse(settings.rate_limit_address)}
    return Limits(**{name: Limit(name, quota) for name, quota in quotas.items() if quota})


def _pages(services: dict[str, Service], document: Document) -> dict[str, ASGIApp]:
    return {
        **docs.pages(),
        "/openapi.json": JSONResponse(document),
        "/livez": health.alive(),
        "/readyz": health.ready(services),
    }


app = create_gateway()
