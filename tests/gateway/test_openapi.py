"""The merged OpenAPI document."""

import re
from collections.abc import Iterator
from contextlib import nullcontext
from importlib import import_module
from pkgutil import walk_packages
from typing import Any, get_args

import jsonschema_rs
import pytest
from pydantic import BaseModel, ValidationError

import gateway as gateway_package
import services as services_package
from gateway.components import references, renamed, used
from gateway.errors import UnknownProtocol
from gateway.keys.schemas import NewApiKey, Rotation
from gateway.openapi import merge
from gateway.refusals import OWN_REFUSALS
from gateway.routes import OPEN, OPS, ROUTES, Route
from services.catalog.datasets.schemas import DatasetChange, NewDataset
from services.entitlements.access.service import DETAILS
from services.entitlements.bulk_decisions.schemas import Decisions
from services.entitlements.decisions.schemas import Decision
from services.entitlements.direct_grants.schemas import DirectGrant
from services.entitlements.grants.schemas import Revocation
from services.entitlements.questions.schemas import Answer, Question
from services.entitlements.renewals.schemas import Extension
from services.entitlements.requests.schemas import NewRequest
from services.entitlements.rules.schemas import NewRules, Rule
from services.entitlements.simulations.schemas import Simulation
from services.entitlements.standing.schemas import Block, Ruling
from services.entitlements.webhooks.schemas import NewWebhook
from services.entitlements.withdrawals.schemas import Withdrawal
from services.pricing.feeds.schemas import JobName, RunRequest
from shared import __version__
from shared.errors import Problem
from tests.gateway.conftest import NEAR_ROUTES, Running

Document = dict[str, Any]
BODIES = (
    *(NewDataset, DatasetChange, NewRequest, Decision, DirectGrant, Revocation, Extension, Block, Ruling),
    *(Question, Answer, Withdrawal, Decisions, RunRequest, NewApiKey, Rotation),
    *(NewRules, Simulation, NewWebhook),
)


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
    scheme = document["components"]["securitySchemes"]["ApiKey"]
    assert (scheme["type"], scheme["in"], scheme["name"]) == ("apiKey", "header", "X-API-Key")
    assert "keys.json" in scheme["description"]


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


def test_every_post_and_nothing_else_takes_an_idempotency_key(document: Document) -> None:
    for (method, _), operation in operations(document).items():
        headers = {p["name"]: p for p in operation.get("parameters", []) if p["in"] == "header"}
        assert ("Idempotency-Key" in headers) is (method == "POST")
        if method == "POST":
            pattern = headers["Idempotency-Key"]["schema"]["pattern"]
            assert all(re.search(pattern, key) for key in ("x", "a b", "~" * 255))
            assert not any(re.search(pattern, key) for key in ("", " a", "a\tb", "caf\xe9"))
            assert {"409", "422"} <= set(operation["responses"])


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
    for name, status, answer in refused(document):
        content = answer["content"]["application/problem+json"]
        assert (name, content["schema"]) == (name, {"$ref": "#/components/schemas/Problem"})
        assert content["examples"]
        for code, example in content["examples"].items():
            problem = example["value"]
            assert (name, problem["code"], str(problem["status"])) == (name, code, status)
            assert {"type", "title", "detail", "instance", "request_id"} <= set(problem)
            assert ("errors" in problem) is (status == "422")


def refused(document: Document) -> Iterator[tuple[str, str, Document]]:
    """Every refusal in the document: whose, its status, the answer."""
    for (_, path), operation in operations(document).items():
        for status, answer in operation["responses"].items():
            if status >= "4":
                shared = answer.get("$ref", "").rpartition("/")[2]
                yield path, status, document["components"]["responses"][shared] if shared else answer


@pytest.fixture(scope="module")
def whole() -> Document:
    """The document with every row, made without starting anything."""
    modules = {"catalog": "services.catalog.main", "entitlements": "services.entitlements.main"}
    modules |= {"pricing": "services.pricing.main", "keys": "gateway.keys.main"}
    return merge(ROUTES, {name: import_module(module).app.openapi() for name, module in modules.items()})


def told_codes(document: Document, operation_id: str) -> set[tuple[int, str]]:
    """The codes that an operation shows, with their statuses."""
    found = next(o for o in operations(document).values() if o["operationId"] == operation_id)
    contents = [answer.get("content", {}).get("application/problem+json", {}) for answer in found["responses"].values()]
    examples = [example["value"] for content in contents for example in content.get("examples", {}).values()]
    return {(example["status"], example["code"]) for example in examples}


def test_every_refusal_of_the_services_is_documented(whole: Document) -> None:
    shown = {(e["value"]["status"], code) for code, e in every_example(whole)}
    for package in (services_package, gateway_package):
        for module in walk_packages(package.__path__, f"{package.__name__}."):
            if module.name.endswith(".errors"):
                kinds = vars(import_module(module.name)).values()
                problems = [
                    k
                    for k in kinds
                    if isinstance(k, type) and issubclass(k, Problem) and k.status < 500 and k is not UnknownProtocol
                ]
                own = [kind for kind in problems if kind.__module__ == module.name]
                assert {(kind.status, kind.code) for kind in own} <= shown


def every_example(part: Any) -> Iterator[tuple[str, Any]]:
    """The problems that are shown anywhere, by code."""
    children = part.values() if isinstance(part, dict) else part if isinstance(part, list) else ()
    if isinstance(part, dict) and "application/problem+json" in part:
        yield from part["application/problem+json"].get("examples", {}).items()
    for child in children:
        yield from every_example(child)


def test_every_row_with_refusals_of_its_own_exists(whole: Document) -> None:
    assert set(OWN_REFUSALS) <= {operation["operationId"] for operation in operations(whole).values()}
    assert {(404, "dataset-not-found"), (410, "retired")} <= told_codes(whole, "listPrices")
    assert {(409, "nothing-to-request"), (409, "cooldown"), (429, "too-many-open")} <= told_codes(
        whole, "createAccessRequest"
    )
    assert {(409, "already-decided"), (403, "self-decision")} <= told_codes(whole, "decideAccessRequest")


@pytest.mark.parametrize("path", ["/v1/datasets/{symbol}/prices", "/v1/datasets/{symbol}/market-caps"])
def test_a_denied_read_is_documented_with_its_remedy(whole: Document, path: str) -> None:
    content = whole["paths"][path]["get"]["responses"]["403"]["content"]["application/problem+json"]
    names = [choice["$ref"].rpartition("/")[2] for choice in content["schema"]["anyOf"]]
    assert names == ["Denied", "Problem"]
    assert {"never-requested", "role-not-allowed"} <= set(content["examples"])
    schema = whole["components"]["schemas"]["Denied"]["allOf"][1]
    assert set(DETAILS) <= set(schema["properties"]["code"]["enum"])
    denied = {code: e["value"] for code, e in content["examples"].items() if code != "role-not-allowed"}
    for problem in denied.values():
        assert set(schema["required"]) <= set(problem)


def test_every_body_shows_an_example_that_it_takes(whole: Document) -> None:
    models = {model.__name__: model for model in BODIES}
    named = {r.rpartition("/")[2] for o in operations(whole).values() for r in every_reference(o.get("requestBody"))}
    assert named == set(models)
    for name, model in models.items():
        examples = whole["components"]["schemas"][name]["examples"]
        assert [model.model_validate(example) for example in examples]


GIVEN = {"account": "0198c5d2-5b7e-7c3a-9f10-3f6f3f0f9a11", "dataset": "BTC", "frequencies": ["1h"], "reason": "A"}
RULE = {"name": "a", "when": {}, "verdict": "approve", "reason": "A", "reason_code": "a"}
YES, NO = {"frequency": "1d", "outcome": "approve"}, {"frequency": "1h", "outcome": "refuse", "reason": "No."}


@pytest.mark.parametrize(
    ("model", "body", "fits"),
    [
        (Extension, {"duration_days": 3, "ends_at": None}, True),
        (Extension, {"no_end": True, "grace_days": 3}, True),
        (Extension, {"grace_days": 3}, False),
        (Extension, {"duration_days": None}, False),
        (Extension, {"duration_days": 3, "no_end": True}, False),
        (DirectGrant, {**GIVEN, "no_end": True}, True),
        (DirectGrant, {**GIVEN, "duration_days": 3, "no_end": True}, False),
        (Decision, {"outcome": "approve", "duration_days": 3, "decisions": None}, True),
        (Decision, {"outcome": "approve", "duration_days": 3, "no_end": True}, False),
        (Decision, {"outcome": "refuse", "reason": "No.", "trial": None}, True),
        (Decision, {"outcome": "refuse", "reason": "No.", "trial": False}, False),
        (Decision, {"outcome": "refuse"}, False),
        (Decision, {"decisions": [YES, NO], "note": "Both.", "outcome": None, "reason": None}, True),
        (Decision, {"decisions": [YES, NO], "reason": "Both."}, False),
        (Decision, {"decisions": [YES], "outcome": "approve"}, False),
        (Decision, {"decisions": [{**NO, "no_end": True}]}, False),
        (Decision, {"note": "Both."}, False),
        (NewApiKey, {"name": "Ada", "role": "quant", "account": None}, True),
        (NewApiKey, {"name": "Ada", "account": GIVEN["account"]}, False),
        (NewApiKey, {"name": "Ada"}, False),
        (Rule, RULE, True),
        (Rule, {**RULE, "cap": {"automatic_approvals": 1, "days": 1}}, True),
        (Rule, {**RULE, "when": {"standing": "blocked"}, "verdict": "refuse"}, True),
        (Rule, {**RULE, "when": {"standing": "blocked"}}, False),
        (Rule, {**RULE, "cap": {"automatic_approvals": 1, "days": 1}, "verdict": "refer"}, False),
        (Rule, {**RULE, "when": {"roles": ["ops", "ops"]}}, False),
    ],
)
def test_how_a_body_s_parts_hang_together_is_published(model: type[BaseModel], body: Document, fits: bool) -> None:
    assert jsonschema_rs.is_valid(model.model_json_schema(), body) is fits
    with nullcontext() if fits else pytest.raises(ValidationError):
        model.model_validate(body)


def test_what_webhooks_are_sent_is_described_and_needs_no_key_of_ours(whole: Document) -> None:
    told = whole["webhooks"]
    assert {"access.decided", "grant.revoked", "webhook.disabled"} <= set(told)
    for type_, item in told.items():
        operation = item["post"]
        assert (set(item), operation["security"], set(operation["responses"])) == ({"post"}, [], {"2XX"})
        assert type_ in str(operation["requestBody"])
        assert "webhook-signature" in operation["description"]


def test_what_a_form_sends_by_itself_can_be_answered(whole: Document) -> None:
    prices = operations(whole)["GET", "/v1/datasets/{symbol}/prices"]
    limit = next(parameter for parameter in prices["parameters"] if parameter["name"] == "limit")
    assert "default" not in limit["schema"]
    for operation in operations(whole).values():
        for parameter in operation.get("parameters", []):
            assert parameter["in"] != "path" or parameter["example"]
            assert parameter["description"]
    name = operations(whole)["POST", "/v1/jobs/{name}/run"]["parameters"][0]
    assert name["schema"]["enum"] == list(get_args(JobName))
    assert name["example"] in name["schema"]["enum"]


def test_who_may_call_is_said_once(whole: Document) -> None:
    for operation in operations(whole).values():
        text = operation["description"]
        assert text.count("Needs no key.") + text.count("Roles: ") == 1
    assert {"Me", "Accounts"} <= {tag["name"] for tag in whole["tags"]}
    assert "Account" not in {tag["name"] for tag in whole["tags"]}


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
