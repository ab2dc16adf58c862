"""The door itself: which row, whose key, which role, then through; every refusal a problem."""

from collections.abc import Mapping
from functools import partial
from urllib.parse import quote

import structlog
from sqlalchemy.exc import OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from gateway.errors import MethodRefused, TooManyRequests, UnknownProtocol
from gateway.forward import Forwarder
from gateway.guard import Guard, require_role
from gateway.headers import bodiless, keyed
from gateway.limits import Limits, Standing, telling
from gateway.matcher import Matcher
from gateway.streams import checking, while_admitted
from shared.errors import InternalError, Problem, TemporarilyUnavailable, problem_response

SPOKEN = ("1.0", "1.1", "2")
logger = structlog.get_logger(__name__)


class Door:
    """The gateway as an ASGI app: its own pages by exact path, everything else by its row."""

    def __init__(
        self, *, pages: Mapping[str, ASGIApp], matcher: Matcher, guard: Guard, forwarder: Forwarder, limits: Limits
    ) -> None:
        self._pages = pages
        self._limits = limits
        self._matcher = matcher
        self._guard = guard
        self._forwarder = forwarder

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request; what goes wrong before an answer began becomes a problem."""
        if scope["type"] != "http":
            await send({"type": "websocket.close"})
            return
        answer = _Answer(bodiless(send) if scope["method"] == "HEAD" else send)
        scope["raw_path"] = scope.get("raw_path") or quote(scope["path"]).encode()
        try:
            await self._serve(scope, receive, answer)
            if not answer.started:
                raise InternalError
        except ClientDisconnect:
            return
        except Exception as error:
            if answer.finished:  # a service's framework answers 500 and raises all the same
                logger.exception("error after an answer", path=scope["path"])
                return
            if answer.started:  # half an answer must not look like a whole one
                raise
            await _refuse(error, scope, receive, answer)

    async def _serve(self, scope: Scope, receive: Receive, answer: "_Answer") -> None:
        if scope["http_version"] not in SPOKEN:  # the parser takes 0.9 and what it does not know as well
            raise UnknownProtocol
        path = scope["raw_path"].decode("latin-1")
        page = self._pages.get(path)
        if page is not None:
            if scope["method"] not in ("GET", "HEAD"):
                raise MethodRefused({"GET"})
            await page({**scope, "method": "GET"}, receive, answer)
            return
        _tell(answer, self._limits.take_address(scope.get("client")))
        route = scope["route"] = self._matcher.find(scope["method"], path)
        if not route.is_open:
            answer.send = keyed(answer.send)
        principal = await self._guard.identify(scope, route)
        _tell(answer, self._limits.take_key(principal.key))
        require_role(principal, route)
        admit = partial(self._guard.admit, scope, route)
        send = answer if route.is_open or route.streams else checking(answer, admit)
        serve = self._forwarder.forward(scope, receive, send, route=route, principal=principal)
        if not route.streams:
            await serve
            return
        await while_admitted(serve, admit)
        if answer.started and not answer.finished:
            await answer({"type": "http.response.body", "body": b""})


class _Answer:
    """Knows how far the answer has come."""

    def __init__(self, send: Send) -> None:
        self.send = send
        self.started = False
        self.finished = False

    async def __call__(self, message: Message) -> None:
        self.started = True
        self.finished = message["type"] == "http.response.body" and not message.get("more_body", False)
        await self.send(message)


def _tell(answer: _Answer, standing: Standing | None) -> None:
    """Let the answer say how its caller stands; raises TooManyRequests."""
    if standing is None:
        return
    answer.send = telling(answer.send, standing)
    if standing.left < 0:
        raise TooManyRequests(standing.seconds)


async def _refuse(error: Exception, scope: Scope, receive: Receive, send: Send) -> None:
    problem: Problem
    if isinstance(error, Problem):
        problem = error
    elif isinstance(error, OperationalError | PoolTimeout):
        logger.warning("database unavailable", error=str(error.__cause__ or error))
        problem = TemporarilyUnavailable()
    else:
        logger.error("unexpected error", exc_info=error, path=scope["path"])
        problem = InternalError()
    instance = scope["raw_path"].decode("latin-1")
    await problem_response(problem, instance, _headers(problem))(scope, receive, send)


def _headers(problem: Problem) -> dict[str, str]:
    if isinstance(problem, MethodRefused):
        return {"Allow": problem.allow}
    if isinstance(problem, TooManyRequests):
        return {"Retry-After": problem.retry_after}
    return {}
