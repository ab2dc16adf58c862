"""The public OpenAPI 3.1 document, merged out of what the services say about themselves."""

from collections.abc import Iterable, Mapping
from typing import Any

from gateway import refusals
from gateway.components import renamed, used
from gateway.query import Parameters, query_parameters
from gateway.routes import Route
from shared import __version__

SCHEME = "ApiKey"
DESCRIPTION = """\
Crypto price datasets: see what is on offer, ask for access, and read prices once it is granted.

**Where to begin.** `GET /v1/datasets` needs no key. With a key, `GET /v1/me` says who you are,
`POST /v1/access-requests` asks for a dataset, and `GET /v1/datasets/{symbol}/prices` reads it.

**The key** goes into the header `X-API-Key`, and nowhere else. On this page: *Authorize*.
An admin makes keys with `POST /v1/api-keys`.

**Refusals** are `application/problem+json` (RFC 9457): `code` is stable, `detail` says what to do, and `request_id`,
also in the header `X-Request-Id` of every answer, is what to quote when asking for help.

**Lists** come in pages: follow `next_cursor`, or the `Link` header, until it is null. HEAD works wherever GET does.
"""
TAGS = {
    "Catalog": "What is on offer.",
    "Prices": "Prices, and what there is of them.",
    "Market capitalisations": "Daily market capitalisations.",
    "Requests": "Asking for access, and deciding.",
    "Grants": "Who may read what, and until when.",
    "Notifications": "What happened to one's requests and grants.",
    "Accounts": "Who comes to the vendor.",
    "Jobs": "What runs by itself, and running it now.",
    "Account": "Who the caller is.",
    "API keys": "Who may come in, and in which role.",
}
Document = dict[str, Any]


def merge(routes: Iterable[Route], documents: Mapping[str, Document]) -> Document:
    """One document with the rows' operations and the components they use."""
    documents = renamed(documents)
    paths: dict[str, dict[str, Any]] = {}
    for route in routes:
        operation = _find(route, documents)
        paths.setdefault(route.path, {})[route.method.lower()] = _public(route, operation)
    tags = dict.fromkeys(tag for item in paths.values() for operation in item.values() for tag in operation["tags"])
    return {
        "openapi": "3.1.0",
        "info": _info(),
        "servers": [{"url": "/"}],
        "tags": [{"name": tag, "description": TAGS.get(tag, tag)} for tag in tags],
        "paths": paths,
        "components": {
            "schemas": {**used([paths], documents.values()), **refusals.SCHEMAS},
            "responses": refusals.responses(),
            "securitySchemes": {SCHEME: {"type": "apiKey", "in": "header", "name": "X-API-Key"}},
        },
    }


def parameters_of(routes: Iterable[Route], documents: Mapping[str, Document]) -> dict[Route, Parameters]:
    """What the query of each row may hold."""
    return {route: query_parameters(_find(route, documents)) for route in routes}


def _find(route: Route, documents: Mapping[str, Document]) -> dict[str, Any]:
    operation: dict[str, Any] = documents[route.service]["paths"][route.path][route.method.lower()]
    return operation


def _public(route: Route, operation: dict[str, Any]) -> dict[str, Any]:
    """The operation as the public sees it: who may call it, and every refusal as a problem."""
    own = {status: answer for status, answer in operation["responses"].items() if not _is_framework(answer)}
    roles = "Open to everyone." if route.is_open else f"Roles: {', '.join(route.roles)}."
    return {
        **operation,
        "tags": operation.get("tags") or [route.service.capitalize()],
        "description": f"{operation.get('description', '')}\n\n{roles}".strip(),
        "security": [] if route.is_open else [{SCHEME: []}],
        "responses": dict(sorted({**refusals.refusals_of(route, operation), **own}.items())),
    }


def _is_framework(answer: dict[str, Any]) -> bool:
    """Whether it is the 422 that FastAPI writes by itself, and that we never send."""
    return "HTTPValidationError" in str(answer.get("content", ""))


def _info() -> dict[str, Any]:
    licence = {"name": "Apache-2.0", "identifier": "Apache-2.0"}
    return {"title": "Tickgate", "version": __version__, "description": DESCRIPTION, "license": licence}
