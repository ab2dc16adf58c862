"""`Idempotency-Key`: a POST that is repeated under its key is answered again, and not done again.

The first success is kept in the transaction of its effect, so that one is there if, and only if, the other is. It is
kept for a day, for its account; an advisory lock tells a twin that is still running. An operation of several
transactions takes one more, by `Transaction`, that begins before them and commits after them: cut off in between,
a repeat goes through them again, and each of them guards its own effect.
"""

import copy
import hashlib
import json
import re
from collections.abc import Awaitable, Callable, Coroutine, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, ClassVar
from uuid import UUID

from fastapi import APIRouter, Request, Response
from fastapi.routing import APIRoute
from sqlalchemy import Column, Integer, LargeBinary, MetaData, Row, Table, Text, Uuid, delete, func, select, tuple_
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from shared.coherence.owner import settle
from shared.database import UtcDateTime
from shared.errors import Problem, invalid
from shared.principal import Principal

HEADER = "Idempotency-Key"
REPLAYED = "Idempotency-Replayed"
LONGEST = 255
PATTERN = rf"[!-~](?:[ -~]{{0,{LONGEST - 2}}}[!-~])?"
KEPT = timedelta(hours=24)
SWEPT = 20  # expired rows that go with each new one
SECRETS = ("key", "secret")
SHOWN_ONCE = "It was shown once, in the first answer, and is not kept; POST {}/rotate makes a new one."
ATTEMPT = "tickgate.attempt"


class StillRunning(Problem):
    """The first request under this `Idempotency-Key` is still being answered; repeat it in a moment."""

    status = 409
    headers: ClassVar[Mapping[str, str]] = {"Retry-After": "1"}


class IdempotencyKeyReused(Problem):
    """Another request was made under this `Idempotency-Key` within a day; what is not a repeat needs a new one."""

    status = 422
    field = ("header", f"/{HEADER}")


class Repeated(Exception):
    """Not done again: this is the first answer."""

    def __init__(self, answer: Response) -> None:
        super().__init__()
        self.answer = answer


@dataclass
class Attempt:
    """A request under a key; `request` is a digest of all that it asks for, `answer` what it is about to be told.

    The answer is kept if it is a success, unless it is not `final`.
    """

    account: UUID
    key: str
    path: str
    request: bytes
    answer: Response | None = None
    final: bool = True


def idempotency_table(metadata: MetaData) -> Table:
    """The service's first answers, without secrets."""
    return Table(
        "idempotency",
        metadata,
        Column("account", Uuid, primary_key=True),
        Column("key", Text, primary_key=True),
        Column("request", LargeBinary, nullable=False),
        Column("status", Integer, nullable=False),
        Column("location", Text),
        Column("body", Text, nullable=False),
        Column("created_at", UtcDateTime, nullable=False, server_default=func.clock_timestamp(), index=True),
    )


class RepeatableRoute(APIRoute):
    """An operation whose POST may be repeated under a key."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """The operation's own handler, told of the attempt, and handed the first answer if there was one."""
        handler = super().get_route_handler()

        async def handle(request: Request) -> Response:
            attempt = await _attempt(request) if request.method == "POST" else None
            return await (handler(request) if attempt is None else _try(request, attempt, handler))

        return handle


def repeatable(router: APIRouter) -> APIRouter:
    """The same operations, each as a RepeatableRoute; the given router stays as it is."""
    twin = APIRouter()
    for route in router.routes:
        own = copy.copy(route)
        if isinstance(own, APIRoute) and "POST" in (own.methods or ()):
            own.__class__ = RepeatableRoute
        twin.routes.append(own)
    return twin


async def _attempt(request: Request) -> Attempt | None:
    """The attempt that this request is, if it came with a key; raises InvalidInput."""
    principal: Principal = request.scope["principal"]
    given = request.headers.getlist(HEADER)
    if not given or principal.account is None:
        return None
    if len(given) > 1 or not re.fullmatch(PATTERN, given[0]):
        raise invalid("header", f"/{HEADER}", f"once, and 1 to {LONGEST} printable ASCII characters")
    path = request.url.path
    asked = b"\n".join((path.encode(), request.url.query.encode(), await request.body()))
    return Attempt(principal.account, given[0], path, hashlib.sha256(asked).digest())


async def _try(request: Request, attempt: Attempt, handler: Callable[[Request], Awaitable[Response]]) -> Response:
    request.scope[ATTEMPT] = attempt
    try:
        attempt.answer = await handler(request)
    except Repeated as repeated:
        await settle()  # the first may not have answered yet: what it promised holds for its repeats
        return repeated.answer
    return attempt.answer


def do_not_keep(request: Request) -> None:
    """Part of what was asked for could not be done just now: a repeat is to do that, not to be told so again."""
    attempt: Attempt | None = request.scope.get(ATTEMPT)
    if attempt is not None:
        attempt.final = False


@contextmanager
def repeating(session: Session, table: Table | None, attempt: Attempt | None) -> Iterator[None]:
    """Stands around all that the session's transaction does for an attempt; without one it does nothing.

    Raises Repeated, StillRunning, IdempotencyKeyReused before anything is done; keeps a success at the end.
    """
    if table is None or attempt is None:
        yield
        return
    _claim(session, table, attempt)
    yield
    if attempt.answer is not None and attempt.answer.status_code < 300 and attempt.final:
        _keep(session, table, attempt, attempt.answer)


def _claim(session: Session, table: Table, attempt: Attempt) -> None:
    """Be the only one under this key until the transaction ends; the look comes after the lock, in its own snapshot."""
    name = f"{table.fullname}/{attempt.account}/{attempt.key}"
    if not session.execute(select(func.pg_try_advisory_xact_lock(func.hashtextextended(name, 0)))).scalar_one():
        raise StillRunning
    own = (table.c.account == attempt.account, table.c.key == attempt.key)
    first = session.execute(select(table).where(*own, ~_is_expired(table))).first()
    if first is None:
        return
    if first.request != attempt.request:
        raise IdempotencyKeyReused
    raise Repeated(_again(first))


def _keep(session: Session, table: Table, attempt: Attempt, answer: Response) -> None:
    location = answer.headers.get("location")
    body = bytes(answer.body).decode()
    for_rotation = (location or attempt.path).removesuffix("/rotate")
    row = {
        "request": attempt.request,
        "status": answer.status_code,
        "location": location,
        "body": _without_secrets(body, SHOWN_ONCE.format(for_rotation)),
        "created_at": func.clock_timestamp(),
    }
    _sweep(session, table)
    kept = insert(table).values(account=attempt.account, key=attempt.key, **row)
    session.execute(kept.on_conflict_do_update(index_elements=["account", "key"], set_=row))


def _sweep(session: Session, table: Table) -> None:
    """Every new row takes some that are over with it, so that no more are ever left than there were in a day."""
    own = (table.c.account, table.c.key)
    over = select(*own).where(_is_expired(table)).order_by(table.c.created_at).limit(SWEPT)
    session.execute(delete(table).where(tuple_(*own).in_(over.with_for_update(skip_locked=True))))


def _is_expired(table: Table) -> Any:
    return table.c.created_at <= func.clock_timestamp() - KEPT


def _without_secrets(body: str, note: str) -> str:
    document = json.loads(body) if body else None
    shown = [name for name in SECRETS if isinstance(document, dict) and document.get(name) is not None]
    return json.dumps({**document, **dict.fromkeys(shown), "note": note}) if document and shown else body


def _again(first: Row[Any]) -> Response:
    location = {} if first.location is None else {"Location": first.location}
    return Response(first.body, first.status, {REPLAYED: "true", **location}, media_type="application/json")
