"""Joins the components of several OpenAPI documents: same name and same content is one, a clash gets a prefix."""

from collections.abc import Iterable, Mapping
from typing import Any

SCHEMAS = "#/components/schemas/"
Document = dict[str, Any]


def renamed(documents: Mapping[str, Document]) -> dict[str, Document]:
    """The documents' paths and schemas; a schema that means something else in another one gets the service's name."""
    clashing = _clashing(documents)
    result: dict[str, Document] = {}
    for service, document in documents.items():
        names = {name: service.capitalize() + name for name in clashing & _schemas(document).keys()}
        schemas = {names.get(name, name): _rewrite(schema, names) for name, schema in _schemas(document).items()}
        spoken: Document = {part: _rewrite(document[part], names) for part in ("paths", "webhooks") if part in document}
        result[service] = {**spoken, "components": {"schemas": schemas}}
    return result


def used(parts: Iterable[Any], documents: Iterable[Document]) -> dict[str, Any]:
    """The schemas that these parts lead to, by name, in the order of their names."""
    known = {name: schema for document in documents for name, schema in _schemas(document).items()}
    found: dict[str, Any] = {}
    waiting = [name for part in parts for name in references(part)]
    while waiting:
        name = waiting.pop()
        if name in known and name not in found:
            found[name] = known[name]
            waiting += references(known[name])
    return dict(sorted(found.items()))


def references(part: Any) -> set[str]:
    """The names of the schemas that a part of a document points to."""
    if isinstance(part, str):
        return {part.removeprefix(SCHEMAS)} if part.startswith(SCHEMAS) else set()
    children = part.values() if isinstance(part, dict) else part if isinstance(part, list) else ()
    return {name for child in children for name in references(child)}


def _schemas(document: Document) -> dict[str, Any]:
    schemas: dict[str, Any] = document.get("components", {}).get("schemas", {})
    return schemas


def _clashing(documents: Mapping[str, Document]) -> set[str]:
    """Names with different contents, and names of contents that lead to such names."""
    contents: dict[str, list[Any]] = {}
    for document in documents.values():
        for name, schema in _schemas(document).items():
            contents.setdefault(name, []).append(schema)
    clashing = {name for name, schemas in contents.items() if any(schema != schemas[0] for schema in schemas)}
    shared = {name for name, schemas in contents.items() if len(schemas) > 1}
    while more := {name for name in shared - clashing if references(contents[name]) & clashing}:
        clashing |= more
    return clashing


def _rewrite(part: Any, names: Mapping[str, str]) -> Any:
    if isinstance(part, dict):
        return {key: _rewrite(value, names) for key, value in part.items()}
    if isinstance(part, list):
        return [_rewrite(child, names) for child in part]
    if isinstance(part, str) and part.startswith(SCHEMAS):
        name = part.removeprefix(SCHEMAS)
        return SCHEMAS + names.get(name, name)
    return part
