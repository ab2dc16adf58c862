"""The merged OpenAPI document."""

from typing import Any

import pytest

from gateway.components import references, renamed, used
from gateway.openapi import merge
from gateway.routes import OPEN, OPS, Route
from shared import __version__
from tests.gateway.conftest import NEAR_ROUTES, Running

Document = dict[str, Any]


@pytest.fixture(scope="module")
def document(gateway: Running) -> Document:
    """What the running gateway says about itself."""
    answer = gateway.call("GET", "/openapi.json")
    assert answer.headers["content-type"] == "application/json"
    told: Document = answer.json()
    return told


def operations(document: Document) -> dict[tuple[str, str], Document]:
    return {(m.upper(), path): o for path, item in document["paths"].items() for m, o in item.items()}


def every_reference(part: Any) -> set[str]:
    if isinstance(part, dict):
        own = {part["$ref"]} if isinstance(part.get("$ref"), str) else set()
        return own.union(*map(every_reference, part.values()))
    return set().union(*map(every_reference, part)) if isinstance(part, list) else set()


def test_it_is_openapi_31_about_us(document: Document) -> None:
    assert document["openapi"].startswith("3.1")
    assert (document["info"]["title"], document["info"]["version"]) == ("Tickgate", __version__)
    assert "X-API-Key" in document["info"]["description"]
    assert document["servers"] == [{"url": "/"}]
    schemes = {"ApiKey": {"type": "apiKey", "in": "header", "name": "X-API-Key"}}
    assert document["components"]["securitySchemes"] == schemes


def test_it_has_the_rows_operations_and_no_other(document: Document) -> None:
    assert set(operations(document)) == {(route.method, route.path) for route in NEAR_ROUTES}


@pytest.mark.parametrize("route", NEAR_ROUTES, ids=lambda r: f"{r.method} {r.path}")
def test_every_operation_is_fully_described(document: Document, route: Route) -> None:
    operation = operations(document)[route.method, route.path]
    assert operation["operationId"]
    assert operation["summary"]
    assert set(operation["tags"]) <= {tag["name"] for tag in document["tags"]}
    assert operation["security"] == ([] if route.is_open else [{"ApiKey": []}])
    assert all(role in operation["description"] for role in route.roles)
    expected = {"422", "503"} | (set() if route.is_open else {"401", "403"})
    expected |= {"404"} if "{" in route.path else set()
    expected |= {"413", "415"} if route.method == "POST" else set()
    assert expected <= set(operation["responses"])
    named = [part for part in route.path.split("/") if part.startswith("{")]
    assert [f"{{{p['name']}}}" for p in operation.get("parameters", []) if p["in"] == "path"] == named


def test_operation_ids_are_unique(document: Document) -> None:
    ids = [operation["operationId"] for operation in operations(document).values()]
    assert len(ids) == len(set(ids))


def test_no_reference_dangles_and_no_component_is_idle(document: Document) -> None:
    found = every_reference(document)
    for reference in found:
        part = document
        for step in reference.removeprefix("#/").split("/"):
            part = part[step]
    idle = {f"#/components/schemas/{name}" for name in document["components"]["schemas"]} - found
    assert not idle


def test_refusals_are_problems_never_the_frameworks(document: Document) -> None:
    assert "HTTPValidationError" not in str(document)
    for name, answer in document["components"]["responses"].items():
        schema = answer["content"]["application/problem+json"]["schema"]
        assert (name, schema) == (name, {"$ref": "#/components/schemas/Problem"})


def service(schema: Document, **more: Document) -> Document:
    answer = {"content": {"application/json": {"schema": {"$ref": "#/components/schemas/Item"}}}}
    return {
        "paths": {"/v1/x": {"get": {"operationId": "x", "responses": {"200": answer}}}},
        "components": {"schemas": {"Item": schema, **more}},
    }


def test_equal_schemas_are_one_and_a_clash_gets_the_services_name() -> None:
    to_part = {"properties": {"part": {"$ref": "#/components/schemas/Part"}}}
    documents = {
        "one": service(to_part, Part={"type": "string"}, Same={"type": "null"}),
        "two": service(to_part, Part={"type": "integer"}, Same={"type": "null"}),
    }
    result = renamed(documents)
    assert set(result["one"]["components"]["schemas"]) == {"OneItem", "OnePart", "Same"}
    item = result["two"]["components"]["schemas"]["TwoItem"]
    assert references(item) == {"TwoPart"}
    assert references(result["one"]["paths"]) == {"OneItem"}
    assert renamed({"one": documents["one"], "copy": documents["one"]})["copy"] == documents["one"]


def test_only_what_is_used_is_kept() -> None:
    one = service({"$ref": "#/components/schemas/Deep"}, Deep={"type": "string"}, Idle={"type": "null"})
    assert list(used([one["paths"]], [one])) == ["Deep", "Item"]


def test_a_services_own_refusal_stays_and_the_gateways_are_added() -> None:
    document = service({"type": "string"})
    document["paths"]["/v1/x"]["get"]["responses"]["403"] = {"description": "mine"}
    merged = merge([Route("GET", "/v1/x", "one", OPS)], {"one": document})["paths"]["/v1/x"]["get"]
    assert merged["responses"]["403"] == {"description": "mine"}
    assert merged["responses"]["401"] == {"$ref": "#/components/responses/Unauthorized"}
    assert merged["tags"] == ["One"]
    assert merged["description"] == "Roles: ops, admin."
    opened = merge([Route("GET", "/v1/x", "one", OPEN)], {"one": document})["paths"]["/v1/x"]["get"]
    assert "401" not in opened["responses"]
