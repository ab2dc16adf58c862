"""The refusals in the OpenAPI document: one Problem schema, and which operation may answer which."""

from typing import Any

from gateway.routes import Route
from shared.errors import MEDIA_TYPE

PROBLEM: dict[str, Any] = {
    "title": "Problem",
    "description": "Why a request was refused (RFC 9457). `code` is stable; further members depend on it.",
    "type": "object",
    "required": ["type", "title", "status", "detail", "instance", "code", "request_id"],
    "additionalProperties": True,
    "properties": {
        "type": {"type": "string", "format": "uri", "examples": ["urn:tickgate:problem:role-not-allowed"]},
        "title": {"type": "string", "examples": ["Role not allowed"]},
        "status": {"type": "integer", "examples": [403]},
        "detail": {"type": "string", "examples": ["The key's role may not do this."]},
        "instance": {"type": "string", "description": "The path of the request.", "examples": ["/v1/grants"]},
        "code": {"type": "string", "description": "A stable slug.", "examples": ["role-not-allowed"]},
        "request_id": {
            "type": ["string", "null"],
            "description": "Finds the request in the vendor's logs.",
            "examples": ["5f0c6f0e6a3b4e0c9d1f2a3b4c5d6e7f"],
        },
        "errors": {
            "type": "array",
            "description": "On 422: what is wrong where.",
            "items": {"$ref": "#/components/schemas/ProblemField"},
        },
    },
}
PROBLEM_FIELD: dict[str, Any] = {
    "title": "ProblemField",
    "description": "One thing that is wrong with a request.",
    "type": "object",
    "required": ["in", "pointer", "message"],
    "properties": {
        "in": {"type": "string", "description": "body, query, path or header.", "examples": ["query"]},
        "pointer": {"type": "string", "description": "A JSON Pointer into that part.", "examples": ["/limit"]},
        "message": {"type": "string", "examples": ["Input should be less than or equal to 500"]},
    },
}
SCHEMAS = {"Problem": PROBLEM, "ProblemField": PROBLEM_FIELD}
REFUSALS: dict[str, tuple[str, str]] = {
    "400": ("BadRequest", "The cursor is not one that this list gave out."),
    "401": ("Unauthorized", "The key is missing, or not valid (any more)."),
    "403": ("Forbidden", "The key's role may not do this, or what is asked for is not granted."),
    "404": ("NotFound", "There is no such thing, or it is not the caller's."),
    "409": ("Conflict", "The state of the thing does not allow this (any more)."),
    "413": ("TooLarge", "The body is larger than 64 KiB."),
    "415": ("UnsupportedMediaType", "The body is not `application/json` in UTF-8."),
    "422": ("Invalid", "The request does not fit the operation; `errors` says where."),
    "429": ("TooManyRequests", "The key or the address has made more requests than the limit allows."),
    "503": ("Unavailable", "A part that the answer needs is out of reach; nothing was changed."),
}
HEADERS: dict[str, dict[str, Any]] = {
    "401": {"WWW-Authenticate": {"description": "ApiKey.", "schema": {"type": "string", "examples": ["ApiKey"]}}},
    "429": {
        "Retry-After": {"description": "Seconds to wait.", "schema": {"type": "string", "examples": ["17"]}},
        "RateLimit": {
            "description": "Requests left, and for how many seconds; on every answer that was counted.",
            "schema": {"type": "string", "examples": ['"key";r=0;t=17']},
        },
        "RateLimit-Policy": {
            "description": "The limit: so many requests in so many seconds.",
            "schema": {"type": "string", "examples": ['"key";q=300000;w=60']},
        },
    },
    "503": {"Retry-After": {"description": "Seconds to wait.", "schema": {"type": "string", "examples": ["1"]}}},
}


def responses() -> dict[str, Any]:
    """The reusable answers, by name."""
    return {name: _response(status, text) for status, (name, text) in REFUSALS.items()}


def refusals_of(route: Route, operation: dict[str, Any]) -> dict[str, Any]:
    """The answers that fit an operation, by status; each a reference to a reusable one."""
    parameters = operation.get("parameters", ())
    writes = route.method != "GET"
    fitting = {
        "400": any(parameter["name"] == "cursor" for parameter in parameters),
        "401": not route.is_open,
        "403": not route.is_open,
        "404": "{" in route.path,
        "409": writes,
        "413": writes,
        "415": writes,
        "422": True,
        "429": True,
        "503": True,
    }
    statuses = [status for status, fits in fitting.items() if fits]
    return {status: {"$ref": f"#/components/responses/{REFUSALS[status][0]}"} for status in statuses}


def _response(status: str, text: str) -> dict[str, Any]:
    content = {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}}
    headers = {"headers": HEADERS[status]} if status in HEADERS else {}
    return {"description": text, **headers, "content": content}
