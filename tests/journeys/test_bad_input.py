"""Whatever is wrong with a request, to whichever operation: a problem that says why, and nothing has changed."""

from collections.abc import Iterator
from contextlib import ExitStack, closing
from functools import cache
from typing import Any

import httpx
import psycopg
import pytest

from tests.conftest import cloned
from tests.journeys.bad_inputs import MARK, OPERATIONS, SOME, BadInput, Operation, bad_inputs
from tests.world import World, running_world

MEMBERS = {"type", "title", "status", "detail", "instance", "code", "request_id"}
KEPT = (
    *(
        f"entitlements.{name}"
        for name in ("access_requests", "request_items", "request_messages", "grants", "audit_events", "outbox")
    ),
    *(f"entitlements.{name}" for name in ("notifications", "notification_reads")),
    *("catalog.datasets", "catalog.offerings", "catalog.audit_events"),
    *("gateway.accounts", "gateway.api_keys", "gateway.audit_events"),
)
ASK = {"dataset": "BTC", "frequencies": ["1h"]}
GIVE = {**ASK, "account": SOME, "reason": "Only a test."}
UNKNOWN = (
    ("quant", "/v1/access-requests", {**ASK, "dataset": "NOPE"}),
    ("quant", "/v1/access-requests", {**ASK, "dataset": "ETH"}),
    ("ops", "/v1/grants", GIVE),
    ("admin", "/v1/api-keys", {"account": SOME}),
)
METHODS = {"get", "put", "post", "delete", "patch"}


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """A platform on which nothing may ever happen."""
    with cloned() as stores, running_world(stores, tmp_path_factory.mktemp("world")) as world:
        yield world


@pytest.fixture(scope="module")
def people(world: World) -> Iterator[dict[str, httpx.Client]]:
    """A client for every role, and one for somebody without a key."""
    with ExitStack() as stack:
        yield {role: stack.enter_context(world.person(role)) for role in ("anyone", "quant", "ops", "admin")}


@cache
def _paths(url: str) -> dict[str, Any]:
    return dict(httpx.get(f"{url}/openapi.json").json()["paths"])


def _parameters(world: World, operation: Operation) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = _paths(world.platform.url)[operation.path][operation.method.lower()].get(
        "parameters", []
    )
    return found


def _counts(world: World) -> dict[str, int]:
    """How many rows each table holds."""
    query = " union all ".join(f"select '{table}', count(*) from {table}" for table in KEPT)  # noqa: S608
    with closing(psycopg.connect(world.env["TICKGATE_DATABASE_URL"], autocommit=True)) as connection:
        return dict(connection.execute(query).fetchall())


def _faults(answer: httpx.Response, bad: BadInput) -> Iterator[str]:
    """What is wrong with a refusal."""
    if not (400 <= answer.status_code < 500 and bad.status in (0, answer.status_code)):
        yield f"answered {answer.status_code}, not {bad.status or '4xx'}: {answer.text[:200]}"
        return
    if answer.headers["content-type"] != "application/problem+json":
        yield f"is {answer.headers['content-type']}: {answer.text[:200]}"
        return
    problem = answer.json()
    if missing := MEMBERS - set(problem):
        yield f"lacks {missing}"
    if problem.get("status") != answer.status_code or problem.get("request_id") != answer.headers["x-request-id"]:
        yield f"does not say its own status and request id: {answer.text[:200]}"
    if answer.status_code == 422 and not _complete(problem.get("errors")):
        yield f"does not say where: {answer.text[:200]}"
    if MARK in str({**problem, "instance": None}):
        yield f"echoes the input: {answer.text[:200]}"


def _complete(errors: Any) -> bool:
    return bool(errors) and all({"in", "pointer", "message"} <= set(error) for error in errors)


def test_every_public_operation_has_a_row(world: World) -> None:
    offered = {(m.upper(), path) for path, item in _paths(world.platform.url).items() for m in METHODS & set(item)}
    rows = [operation.name for operation in OPERATIONS]
    assert sorted(rows) == sorted(offered)


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda operation: f"{operation.method} {operation.path}")
def test_what_does_not_fit_is_refused_and_changes_nothing(
    world: World, people: dict[str, httpx.Client], operation: Operation
) -> None:
    before = _counts(world)
    faults = []
    for bad in bad_inputs(operation, _parameters(world, operation)):
        answer = people[bad.role].request(operation.method, bad.url, content=bad.content, headers=bad.headers)
        faults += [f"{bad.what}: {fault}" for fault in _faults(answer, bad)]
    assert not faults, "\n".join(faults)
    assert _counts(world) == before


@pytest.mark.parametrize(("role", "path", "body"), UNKNOWN)
def test_what_a_body_names_but_does_not_exist_is_refused_with_its_place_and_changes_nothing(
    world: World, people: dict[str, httpx.Client], role: str, path: str, body: dict[str, Any]
) -> None:
    before = _counts(world)
    answer = people[role].post(path, json=body)
    assert list(_faults(answer, BadInput("unknown", 422, path, role))) == []
    assert _counts(world) == before


def test_a_frequency_that_the_dataset_lacks_is_refused_with_its_place(people: dict[str, httpx.Client]) -> None:
    path = "/v1/datasets/ETH/prices?frequency=1h"
    assert list(_faults(people["quant"].get(path), BadInput("not offered", 422, path, "quant"))) == []
