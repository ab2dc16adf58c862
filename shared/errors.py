"""Refusals as RFC 9457 problems: an exception's docstring is its message, its class name its code."""

import re
from collections.abc import Mapping
from typing import Any, ClassVar

import structlog
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from sqlalchemy.exc import DBAPIError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from starlette.exceptions import HTTPException

from shared.correlation import HEADER, request_id

NO_JSON = "JSON decode error"
MEDIA_TYPE = "application/problem+json"
OUT_OF_REACH = (OperationalError, PoolTimeout)  # what the database says when it is away, or too busy
logger = structlog.get_logger(__name__)


class Problem(Exception):
    """A refusal that the caller is told about."""

    status: ClassVar[int] = 500
    code: ClassVar[str] = ""
    headers: ClassVar[Mapping[str, str]] = {}
    field: ClassVar[tuple[str, str] | None] = None  # the part of the request and the JSON Pointer that it is about

    def __init__(self, detail: str | None = None, **members: Any) -> None:
        super().__init__(detail or " ".join((self.__doc__ or "").split()))
        if self.field is not None:
            members = {"errors": [_error(*self.field, str(self))], **members}
        self.members = members

    def __init_subclass__(cls) -> None:
        """The code is the class's name in kebab case, unless it says otherwise."""
        if "code" not in cls.__dict__:
            cls.code = re.sub(r"(?<!^)(?=[A-Z])", "-", cls.__name__).lower()


class InvalidInput(Problem):
    """The request does not fit the operation; `errors` says where and why."""

    status = 422


class Unauthenticated(Problem):
    """This call needs an identity signed by the gateway."""

    status = 401


class NotFound(Problem):
    """There is nothing at this address."""

    status = 404


class MethodNotAllowed(Problem):
    """This address does not take this method; `Allow` names those it takes."""

    status = 405


class TemporarilyUnavailable(Problem):
    """A part that this answer needs is out of reach or too busy. Nothing was changed; try again shortly."""

    status = 503
    headers: ClassVar[Mapping[str, str]] = {"Retry-After": "1"}


class InternalError(Problem):
    """Something went wrong on our side; the request id finds it in our logs."""

    status = 500


def invalid(part: str, pointer: str, message: str) -> InvalidInput:
    """The refusal of one field: of the body, query or path, named by its JSON Pointer."""
    return InvalidInput(errors=[_error(part, pointer, message)])


def _error(part: str, pointer: str, message: str) -> dict[str, str]:
    return {"in": part, "pointer": pointer, "message": message}


def problem_body(problem: Problem, instance: str) -> dict[str, Any]:
    """The members of the problem, as api.md-shaped JSON."""
    return {
        "type": f"urn:tickgate:problem:{problem.code}",
        "title": problem.code.replace("-", " ").capitalize(),
        "status": problem.status,
        "detail": str(problem),
        "instance": instance,
        "code": problem.code,
        "request_id": request_id(),
        **problem.members,
    }


def problem_response(problem: Problem, instance: str, headers: Mapping[str, str] | None = None) -> JSONResponse:
    """The problem as an HTTP answer."""
    return JSONResponse(
        problem_body(problem, instance),
        problem.status,
        headers={**problem.headers, **(headers or {})},
        media_type=MEDIA_TYPE,
    )


def install_filters(app: FastAPI) -> None:
    """Turn every refusal, and everything that goes wrong, into a problem."""

    @app.exception_handler(Problem)
    def refuse(request: Request, problem: Problem) -> JSONResponse:
        return problem_response(problem, request.url.path)

    @app.exception_handler(RequestValidationError)
    def refuse_input(request: Request, error: RequestValidationError) -> JSONResponse:
        errors = [_field(e["loc"], e["msg"]) for e in error.errors()]
        # a body that two dependencies read is complained of twice
        once = [e for number, e in enumerate(errors) if e not in errors[:number]]
        return problem_response(InvalidInput(errors=once), request.url.path)

    @app.exception_handler(HTTPException)
    def refuse_route(request: Request, error: HTTPException) -> JSONResponse:
        if error.status_code == 405:
            return problem_response(MethodNotAllowed(), request.url.path, error.headers)
        problem = NotFound() if error.status_code == 404 else invalid("body", "", str(error.detail))
        return problem_response(problem, request.url.path)

    @app.exception_handler(OperationalError)
    @app.exception_handler(PoolTimeout)
    def refuse_for_now(request: Request, error: Exception) -> JSONResponse:
        logger.warning("database unavailable", error=_cause(error))
        return problem_response(TemporarilyUnavailable(), request.url.path)

    @app.exception_handler(Exception)
    def confess(request: Request, error: Exception) -> JSONResponse:
        identifier = request.scope.get("request_id", "")  # Starlette calls this one from outside our middleware
        with structlog.contextvars.bound_contextvars(request_id=identifier):
            logger.error("unexpected error", exc_info=error, path=request.url.path)
            return problem_response(InternalError(), request.url.path, {HEADER: identifier})


def _cause(error: Exception) -> str:
    return str(error.orig) if isinstance(error, DBAPIError) else str(error)


def _field(location: tuple[int | str, ...], message: str) -> dict[str, str]:
    """Where in the request, as the part and a JSON Pointer into it, and what is wrong there."""
    part, *path = (str(step) for step in location if not isinstance(step, int) or message != NO_JSON)
    message = message.removeprefix("Value error, ")
    pointer = "".join("/" + step.replace("~", "~0").replace("/", "~1") for step in path)
    return _error(part, pointer, message)
