"""Every refusal is an RFC 9457 problem that says where and why, and never repeats what it was given."""

from collections.abc import AsyncIterator
from typing import Annotated, Literal

import httpx
import pytest
from fastapi import FastAPI, Path, Query
from pydantic import Field
from sqlalchemy.exc import TimeoutError as PoolTimeout
from starlette.middleware import Middleware

from shared.correlation import Correlation
from shared.errors import Problem, install_filters, invalid
from shared.wire import Input, Instant, Line
from tests.shared.ground import calling

pytestmark = pytest.mark.anyio
SECRET = "do-not-repeat-me"


class DatasetNotFound(Problem):
    """There is no such
    dataset."""

    status = 404


class Named(Problem):
    """Its code is given."""

    status = 409
    code = "given"


class Cell(Input):
    """A part of a body."""

    frequency: Literal["1h", "1d"]


class Body(Input):
    """A body with everything that can be wrong."""

    name: Line
    at: Instant | None = None
    count: int = Field(default=1, le=5)
    cells: list[Cell] = Field(default_factory=list)
    named: dict[str, int] = Field(default_factory=dict)


def application() -> FastAPI:
    """An application that refuses in every way."""
    app = FastAPI(middleware=[Middleware(Correlation, name="here")])
    install_filters(app)

    @app.post("/bodies/{number}")
    def take(number: Annotated[int, Path()], body: Body, limit: Annotated[int, Query()] = 1) -> None:
        pass

    @app.get("/refusals/{kind}")
    def refuse(kind: str) -> None:
        raise {
            "problem": DatasetNotFound(dataset="BTC"),
            "named": Named("In other words."),
            "field": invalid("query", "/effective_at", "too late"),
            "pool": PoolTimeout(SECRET),
            "bug": RuntimeError(SECRET),
        }[kind]

    return app


@pytest.fixture
async def client() -> AsyncIterator[httpx.AsyncClient]:
    """A client of the application."""
    async with calling(application(), **{"x-request-id": "mine"}) as client:
        yield client


async def test_a_problem_has_every_member_and_says_what_its_docstring_says(client: httpx.AsyncClient) -> None:
    answer = await client.get("/refusals/problem?x=1")

    assert answer.status_code == 404
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json() == {
        "type": "urn:tickgate:problem:dataset-not-found",
        "title": "Dataset not found",
        "status": 404,
        "detail": "There is no such dataset.",
        "instance": "/refusals/problem",
        "code": "dataset-not-found",
        "request_id": "mine",
        "dataset": "BTC",
    }


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "/refusals/named", 409, "given"),
        ("GET", "/refusals/field", 422, "invalid-input"),
        ("GET", "/refusals/pool", 503, "temporarily-unavailable"),
        ("GET", "/refusals/bug", 500, "internal-error"),
        ("GET", "/nowhere", 404, "not-found"),
        ("DELETE", "/refusals/named", 405, "method-not-allowed"),
    ],
)
async def test_whatever_goes_wrong_is_a_problem_with_its_code_and_request_id(
    method: str, path: str, status: int, code: str, client: httpx.AsyncClient
) -> None:
    answer = await client.request(method, path)

    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["code"] == code
    assert answer.json()["request_id"] == answer.headers["x-request-id"] == "mine"
    assert ("retry-after" in answer.headers) == (status == 503)
    assert ("allow" in answer.headers) == (status == 405)
    assert SECRET not in answer.text


@pytest.mark.parametrize(
    ("path", "body", "part", "pointer"),
    [
        ("/bodies/1", b"{}", "body", "/name"),
        ("/bodies/1", b'{"name": "\\u0000do-not-repeat-me"}', "body", "/name"),
        ("/bodies/1", b'{"name": "x", "at": "do-not-repeat-me"}', "body", "/at"),
        ("/bodies/1", b'{"name": "x", "count": 99999}', "body", "/count"),
        (
            "/bodies/1",
            b'{"name": "x", "cells": [{"frequency": "1h"}, {"frequency": "do-not-repeat-me"}]}',
            "body",
            "/cells/1/frequency",
        ),
        ("/bodies/1", b'{"name": "x", "named": {"a/b~c": "do-not-repeat-me"}}', "body", "/named/a~1b~0c"),
        ("/bodies/1", b'{"name": "x", "other": "do-not-repeat-me"}', "body", "/other"),
        ("/bodies/1", b'{"name": "x", "\\ud800": "do-not-repeat-me"}', "body", ""),
        ("/bodies/1", b'{"name": "x", "count": NaN}', "body", "/count"),
        ("/bodies/1", b'{"name": do-not-repeat-me', "body", ""),
        ("/bodies/1", b'["do-not-repeat-me"]', "body", ""),
        ("/bodies/1", b"", "body", ""),
        ("/bodies/do-not-repeat-me", b'{"name": "x"}', "path", "/number"),
        ("/bodies/1?limit=do-not-repeat-me", b'{"name": "x"}', "query", "/limit"),
    ],
)
async def test_wrong_input_is_pointed_at_and_never_repeated(
    path: str, body: bytes, part: str, pointer: str, client: httpx.AsyncClient
) -> None:
    answer = await client.post(path, content=body, headers={"content-type": "application/json"})

    assert answer.status_code == 422
    (error,) = answer.json()["errors"]
    assert (error["in"], error["pointer"]) == (part, pointer)
    assert error["message"]
    assert SECRET not in answer.text.replace(f'"instance":"{path}"', "")


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(b"[" * 30_000, id="deep"),
        pytest.param(b'{"name": ' + b'{"a":' * 10_000, id="deep objects"),
        pytest.param(b'{"name": "x", "count": ' + b"9" * 10_000 + b"}", id="a long integer"),
        pytest.param(b'{"name": "\xff"}', id="no UTF-8"),
    ],
)
async def test_a_hostile_body_is_refused_as_input(body: bytes, client: httpx.AsyncClient) -> None:
    answer = await client.post("/bodies/1", content=body, headers={"content-type": "application/json"})

    assert answer.status_code == 422
    assert answer.headers["content-type"] == "application/problem+json"
