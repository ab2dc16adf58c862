"""A service's HTTP application: identity, request ids, problems, health and a transaction per request."""

import asyncio
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass
from typing import Annotated, Any
from uuid import UUID

from fastapi import Depends, FastAPI, Query, Request
from sqlalchemy.orm import Session
from starlette.middleware import Middleware
from starlette.responses import JSONResponse

from shared.audit import EventOut, EventsQuery, Trail, page
from shared.coherence.following import PATH, NeighbourOwner, following
from shared.coherence.memory import Memory
from shared.coherence.owner import Feed, changes_since, is_settling, settle
from shared.compression import Compression
from shared.correlation import Correlation
from shared.database import Database
from shared.errors import TemporarilyUnavailable, install_filters
from shared.idempotency import ATTEMPT, repeatable, repeating
from shared.identity import IdentityGuard, Signer, Verifier
from shared.metrics import Measured
from shared.module import Module
from shared.pagination import Cursors
from shared.revision import check_revision
from shared.seals import Head, Verdict, sealing, verify
from shared.settings import ServiceSettings
from shared.streams import Streams
from shared.upstream import Neighbour, open_upstream

TURNS = 2  # of a pool of eight: each takes a second connection while it works
PATIENCE = 5.0


def create_app(module: Module, settings: ServiceSettings | None = None) -> FastAPI:
    """The application of a service; without given settings it reads the environment when it starts."""

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with AsyncExitStack() as stack:
            await _equip(app, module, settings or module.settings.load(), stack)
            yield

    app = FastAPI(
        title=f"Tickgate {module.name}",
        lifespan=lifespan,
        docs_url=None,
        redoc_url=None,
        middleware=[
            Middleware(Correlation, name=module.name),
            Middleware(IdentityGuard),
            Middleware(Compression),
            Middleware(Measured, name=module.name),  # inside: what stands around it hands a copy of the scope on
        ],
        separate_input_output_schemas=False,
        webhooks=module.messages,
    )
    for controller in module.controllers:
        app.include_router(repeatable(controller))
    _add_health(app, module)
    if module.feed is not None:
        _add_changes(app, module.feed)
    if module.trail is not None:
        _add_trail(app, module.trail)
    install_filters(app)
    return app


async def _equip(app: FastAPI, module: Module, settings: ServiceSettings, stack: AsyncExitStack) -> None:
    """Put what requests need on `app.state`, to be closed with the stack."""
    settings.require_api_secrets()
    if module.neighbours:
        settings.require_signing_key()
    app.state.settings = settings
    app.state.database = Database(settings.database)
    stack.callback(app.state.database.close)
    if module.news is not None:
        app.state.streams = Streams(app.state.database, module.news)
    if module.trail is not None:
        await stack.enter_async_context(sealing(app.state.database, module.trail))
    app.state.verifier = Verifier(settings.identity_public_keys, audience=module.name)
    app.state.cursors = Cursors(settings.cursor_secret)
    app.state.idempotency = module.idempotency
    app.state.turns = asyncio.Semaphore(TURNS)
    app.state.neighbours = {}
    for name in module.neighbours:
        upstream = await stack.enter_async_context(open_upstream(settings.url_of(name)))
        signer = Signer(settings.identity_private_key, issuer=module.name)
        app.state.neighbours[name] = Neighbour(upstream, name=name, signer=signer, caller=module.name)
    app.state.memories = {}
    for name in module.remembered:
        memory: Memory[Any] = Memory()
        app.state.memories[name] = memory
        await stack.enter_async_context(following(memory, NeighbourOwner(app.state.neighbours[name])))
    app.state.kept = {}
    for name, opened in module.kept.items():
        app.state.kept[name] = await stack.enter_async_context(opened(app.state.database, app.state.neighbours))


def _add_health(app: FastAPI, module: Module) -> None:
    @app.get("/livez", include_in_schema=False)
    async def livez() -> JSONResponse:
        """The process runs."""
        return JSONResponse({"status": "alive"})

    @app.get("/readyz", include_in_schema=False)
    def readyz(request: Request) -> JSONResponse:
        """The process can serve: its database answers, at the revision that this version knows."""
        check_revision(request.app.state.database, module)
        return JSONResponse({"status": "ready"})


def _add_changes(app: FastAPI, feed: Feed) -> None:
    @app.get(PATH, include_in_schema=False)
    def changes(request: Request, after: int, nonce: str, epoch: UUID | None = None) -> JSONResponse:
        """What a replica that remembers our answers must forget; the nonce is its question's."""
        told = changes_since(request.app.state.database, feed, after=after, epoch=epoch)
        return JSONResponse(
            {
                "nonce": nonce,
                "epoch": str(told.epoch),
                "number": told.number,
                "floor": told.floor,
                "names": list(told.names),
                "now": told.now.isoformat(),
            }
        )


def _add_trail(app: FastAPI, trail: Trail) -> None:
    @app.get("/internal/audit-events", include_in_schema=False)
    def events(query: Annotated[EventsQuery, Query()], session: Transaction) -> Sequence[EventOut]:
        """What was done here."""
        return page(session, trail.events, query)

    @app.get("/internal/audit-events/verify", include_in_schema=False)
    def verdict(session: Transaction, head: Head | None = None) -> Verdict:
        """Whether what was recorded here is as it was written."""
        return verify(session, trail, head)


@dataclass
class _Settlement:
    due: bool = False


async def _settlement() -> AsyncIterator[_Settlement]:
    """Waits, holding no connection and no thread, when the transaction inside it raised a change and committed."""
    settlement = _Settlement()
    yield settlement
    if settlement.due:
        await settle()


def _transaction(
    request: Request, settlement: Annotated[_Settlement, Depends(_settlement, scope="function")]
) -> Iterator[Session]:
    database: Database = request.app.state.database
    attempt = request.scope.get(ATTEMPT)
    with database.transaction() as session, repeating(session, request.app.state.idempotency, attempt):
        yield session
    settlement.due |= is_settling(session)


@dataclass(frozen=True)
class _Transactions:
    """Opens transactions one after the other, for what is many acts in one request."""

    database: Database
    settlement: _Settlement

    @contextmanager
    def __call__(self) -> Iterator[Session]:
        """One of them, committed when the block ends; what any of them changed is waited out before the answer."""
        with self.database.transaction() as session:
            yield session
        self.settlement.due |= is_settling(session)


async def _turn(request: Request) -> AsyncIterator[None]:
    """Lets few at a time hold a connection for their key while they need others: many would wait for each other.

    Who waits for a turn holds neither a connection nor a thread; raises TemporarilyUnavailable.
    """
    if ATTEMPT not in request.scope:
        yield
        return
    turns: asyncio.Semaphore = request.app.state.turns
    try:
        await asyncio.wait_for(turns.acquire(), PATIENCE)
    except TimeoutError as error:
        raise TemporarilyUnavailable from error
    try:
        yield
    finally:
        turns.release()


def _transactions(
    request: Request,
    settlement: Annotated[_Settlement, Depends(_settlement, scope="function")],
    _turn: Annotated[None, Depends(_turn, scope="function")],
) -> _Transactions:
    return _Transactions(request.app.state.database, settlement)


# scope="function": the commit comes before the answer, so that a commit that fails is not answered as a success
Transaction = Annotated[Session, Depends(_transaction, scope="function")]
Transactions = Annotated[_Transactions, Depends(_transactions)]
