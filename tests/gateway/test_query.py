"""Which queries an operation takes."""

import pytest

from gateway.query import check_query, query_parameters
from shared.errors import InvalidInput

OPERATION = {
    "parameters": [
        {"name": "id", "in": "path", "schema": {"type": "string"}},
        {"name": "limit", "in": "query", "schema": {"type": "integer"}},
        {"name": "tag", "in": "query", "schema": {"anyOf": [{"type": "array"}, {"type": "null"}]}},
        {"name": "Idempotency-Key", "in": "header", "schema": {"type": "string"}},
    ]
}
TAKEN = query_parameters(OPERATION)


def test_only_the_querys_own_parameters_count() -> None:
    assert TAKEN == {"limit": False, "tag": True}
    assert query_parameters({}) == {}


@pytest.mark.parametrize("query", [b"", b"limit=1", b"limit=", b"tag=a&tag=b&limit=2", b"limit=%C3%A4", b"li%6Dit=1"])
def test_what_is_declared_passes(query: bytes) -> None:
    check_query(query, TAKEN)


@pytest.mark.parametrize(
    ("query", "pointers"),
    [
        (b"limt=1", ["/limt"]),
        (b"limit=1&limit=2", ["/limit"]),
        (b"limit=1&li%6Dit=2", ["/limit"]),
        (b"id=1", ["/id"]),
        (b"Limit=1", ["/Limit"]),
        (b"a=1&a=2&b", ["/a", "/b"]),
        (b"a/b~c=1", ["/a~1b~0c"]),
        (b"=1", [""]),
        (b"limit=%FF", [""]),
        (b"limit=\xff", [""]),
        (b"limit=1#x", [""]),
        (b"&".join(b"tag=1" for _ in range(101)), [""]),
    ],
)
def test_everything_else_is_refused_by_name(query: bytes, pointers: list[str]) -> None:
    with pytest.raises(InvalidInput) as refusal:
        check_query(query, TAKEN)
    assert [error["pointer"] for error in refusal.value.members["errors"]] == pointers
    assert {error["in"] for error in refusal.value.members["errors"]} == {"query"}
