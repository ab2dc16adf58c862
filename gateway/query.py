"""Which query parameters an operation takes: one it does not know, or one given twice, is refused."""

import re
from collections import Counter
from typing import Any
from urllib.parse import parse_qsl

from shared.errors import InvalidInput

PRINTABLE = re.compile(rb"[\x21\x24-\x7e]*")
MOST = 100
Parameters = dict[str, bool]


def query_parameters(operation: dict[str, Any]) -> Parameters:
    """The names an OpenAPI operation takes in its query, and whether each may be repeated."""
    declared = (p for p in operation.get("parameters", ()) if p["in"] == "query")
    return {p["name"]: _is_list(p.get("schema", {})) for p in declared}


def check_query(query: bytes, parameters: Parameters) -> None:
    """Raises InvalidInput when the query holds what the operation does not take."""
    given = Counter(name for name, _ in _pairs(query))
    taken = ", ".join(parameters) or "none"
    unknown = [_error(name, f"unknown; taken are: {taken}") for name in given if name not in parameters]
    repeated = [_error(n, "given more than once") for n, times in given.items() if times > 1 and not parameters.get(n)]
    if unknown or repeated:
        raise InvalidInput(
            errors=unknown + [e for e in repeated if e["pointer"] not in {u["pointer"] for u in unknown}]
        )


def _pairs(query: bytes) -> list[tuple[str, str]]:
    try:
        if not PRINTABLE.fullmatch(query):
            raise ValueError
        return parse_qsl(query.decode(), keep_blank_values=True, errors="strict", max_num_fields=MOST)
    except ValueError:
        raise InvalidInput(errors=[_error("", "a query of percent-encoded UTF-8")]) from None


def _is_list(schema: dict[str, Any]) -> bool:
    return schema.get("type") == "array" or any(_is_list(choice) for choice in schema.get("anyOf", ()))


def _error(name: str, message: str) -> dict[str, str]:
    pointer = "/" + name.replace("~", "~0").replace("/", "~1") if name else ""
    return {"in": "query", "pointer": pointer[:200], "message": message}
