"""The public OpenAPI 3.1 document, merged out of what the services say about themselves."""

from collections.abc import Iterable, Mapping
from typing import Any

from gateway import refusals
from gateway.components import renamed, used
from gateway.query import Parameters, query_parameters
from gateway.routes import Route
from shared import __version__
from shared.idempotency import HEADER, LONGEST, PATTERN

SCHEME = "ApiKey"
DESCRIPTION = """\
Crypto price datasets: see what is on offer, ask for access, and read prices once it is granted.

**Where to begin.** `GET /v1/datasets` needs no key. With a key, `GET /v1/me` says who you are,
`POST /v1/access-requests` asks for a dataset, and `GET /v1/datasets/{symbol}/prices` reads it.

**The key** goes into the header `X-API-Key`, and nowhere else. On this page: *Authorize*, which also says where a key
comes from.

**Refusals** are `application/problem+json` (RFC 9457): `code` is stable, `detail` says what to do, and `request_id`,
also in the header `X-Request-Id` of every answer, is what to quote when asking for help.
An address that does not exist is 404 `not-found`; every operation shows its own refusals, code by code.

**Lists** come in pages: follow `next_cursor`, or the `Link` header, until it is null. HEAD works wherever GET does.
"""
WHERE_FROM = """\
The first start makes a key for each role and writes them into `keys.json` in its home (`.tickgate` unless set); with
containers, the bootstrap prints them. An admin makes more with `POST /v1/api-keys`.
"""
TAGS = {
    "Catalog": "What is on offer.",
    "Prices": "Prices, and what there is of them.",
    "Market capitalisations": "Daily market capitalisations.",
    "Requests": "Asking for access, and deciding.",
    "Rules": "What is answered automatically.",
    "Grants": "Who may read what, and until when.",
    "Notifications": "What happened to one's requests and grants.",
    "Webhooks": "The same, posted to URLs of one's own.",
    "Accounts": "Who comes to the vendor.",
    "Usage": "Who reads how much.",
    "Audit": "Who did what, and the proof that nothing of it was changed.",
    "Jobs": "What runs by itself, and running it now.",
    "Me": "Who the caller is.",
    "API keys": "Who may come in, and in which role.",
}
REPEATABLE: dict[str, Any] = {
    "name": HEADER,
    "in": "header",
    "required": False,
    "description": (
        "Makes the call safe to repeat for a day: under the same key it is not done again but answered as at first, "
        "with `Idempotency-Replayed: true`. A secret is not shown again: its field is null, and `note` says what to do."
    ),
    "schema": {"type": "string", "minLength": 1, "maxLength": LONGEST, "pattern": f"^{PATTERN}$"},
}
OPEN_TO_ALL = "Needs no key."
JOBS = ("sync-prices", "backfill-market-caps")
VALUES = {
    "symbol": ("BTC", "The dataset's symbol."),
    "frequency": ("1h", "One of the dataset's frequencies."),
    "id": ("0198c5d2-5b7e-7c3a-9f10-3f6f3f0f9a11", "Its id."),
    "delivery": ("0198c5d2-5b7e-7c3a-9f10-3f6f3f0f9a11", "The delivery's id."),
    "key": ("4fK2mZq81x", "The key's id: the part of the key between `tg_live_` and the next underscore."),
    "name": (JOBS[0], "The job."),
}
Document = dict[str, Any]


def merge(routes: Iterable[Route], documents: Mapping[str, Document]) -> Document:
    """One document with the rows' operations and the components they use."""
    routes, documents = tuple(routes), renamed(documents)
    paths: dict[str, dict[str, Any]] = {}
    for route in routes:
        operation = _find(route, documents)
        paths.setdefault(route.path, {})[route.method.lower()] = _public(route, operation)
    webhooks = _webhooks({route.service for route in routes}, documents)
    responses = refusals.responses()
    tags = dict.fromkeys(tag for item in paths.values() for operation in item.values() for tag in operation["tags"])
    return {
        "openapi": "3.1.0",
        "info": _info(),
        "servers": [{"url": "/"}],
        "tags": [{"name": tag, "description": TAGS.get(tag, tag)} for tag in tags],
        "paths": paths,
        **({"webhooks": webhooks} if webhooks else {}),
        "components": {
            "schemas": used(
                [paths, webhooks, responses], [*documents.values(), {"components": {"schemas": refusals.SCHEMAS}}]
            ),
            "responses": responses,
            "securitySchemes": {
                SCHEME: {"type": "apiKey", "in": "header", "name": "X-API-Key", "description": WHERE_FROM}
            },
        },
    }


def _webhooks(services: Iterable[str], documents: Mapping[str, Document]) -> dict[str, Any]:
    """What the services post to their clients' own URLs; who answers there is not ours to say."""
    found: dict[str, Any] = {}
    for service in sorted(services):
        for type_, item in documents[service].get("webhooks", {}).items():
            operation = {**item["post"], "security": [], "responses": {"2XX": {"description": "Taken."}}}
            found[type_] = {"post": operation}
    return found


def parameters_of(routes: Iterable[Route], documents: Mapping[str, Document]) -> dict[Route, Parameters]:
    """What the query of each row may hold."""
    return {route: query_parameters(_find(route, documents)) for route in routes}


def _find(route: Route, documents: Mapping[str, Document]) -> dict[str, Any]:
    operation: dict[str, Any] = documents[route.service]["paths"][route.path][route.method.lower()]
    return operation


def _public(route: Route, operation: dict[str, Any]) -> dict[str, Any]:
    """The operation as the public sees it: who may call it, and every refusal as a problem."""
    own = {status: answer for status, answer in operation["responses"].items() if not _is_framework(answer)}
    own_parameters = [_exemplified(p) for p in operation.get("parameters", ())]
    if parameters := own_parameters + ([REPEATABLE] if route.method == "POST" else []):
        operation = {**operation, "parameters": parameters}
    return {
        **operation,
        "tags": operation.get("tags") or [route.service.capitalize()],
        "description": _description(route, operation),
        "security": [] if route.is_open else [{SCHEME: []}],
        "responses": dict(sorted({**refusals.refusals_of(route, operation), **own}.items())),
    }


def _description(route: Route, operation: dict[str, Any]) -> str:
    """What the service says, and who may call it, said once."""
    text = operation.get("description", "").replace(OPEN_TO_ALL, "").strip()
    who = OPEN_TO_ALL if route.is_open else f"Roles: {', '.join(route.roles)}."
    return f"{text}\n\n{who}".strip()


def _exemplified(parameter: dict[str, Any]) -> dict[str, Any]:
    """A path parameter with a value to begin with; whatever the query takes is left to the caller."""
    if parameter["in"] != "path" or parameter["name"] not in VALUES:
        return parameter
    schema = parameter["schema"]
    value, description = VALUES["key" if parameter["name"] == "id" and "format" not in schema else parameter["name"]]
    if parameter["name"] == "name":
        schema = {**schema, "enum": list(JOBS)}
    return {"description": description, **parameter, "schema": schema, "example": value}


def _is_framework(answer: dict[str, Any]) -> bool:
    """Whether it is the 422 that FastAPI writes by itself, and that we never send."""
    return "HTTPValidationError" in str(answer.get("content", ""))


def _info() -> dict[str, Any]:
    licence = {"name": "Apache-2.0", "identifier": "Apache-2.0"}
    contact = {"name": "The people who run this Tickgate"}
    about = {"title": "Tickgate", "version": __version__, "description": DESCRIPTION}
    return {**about, "contact": contact, "license": licence}
