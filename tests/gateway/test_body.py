"""What no body may hold: each refused by its reason, whatever the operation."""

import json
import tracemalloc
from typing import Any

import pytest

from gateway import body as room
from gateway.body import check_body
from gateway.errors import UnsupportedMediaType
from gateway.keys.secrets import KeySecrets
from shared.errors import InvalidInput

MINE = KeySecrets("a pepper for tests only").mint().text
ESCAPED = MINE.replace("_", "\\u005f", 1)
EACH_ESCAPED = "".join(f"\\u{ord(letter):04X}" for letter in MINE)
JSON = [(b"content-type", b"application/json")]


def nested(depth: int) -> bytes:
    return b"[" * depth + b"]" * depth


def refused(body: bytes) -> Any:
    with pytest.raises(InvalidInput) as refusal:
        check_body(JSON, body)
    errors = refusal.value.members["errors"]
    assert [(error["in"], error["pointer"]) for error in errors] == [("body", "")]
    return errors[0]["message"]


@pytest.mark.parametrize(
    "body",
    [
        b"{}",
        b"null",
        b" [1, -1, 0.5, 1e300, 9223372036854775807, -9223372036854775807]",
        '{"a": "größer ₿ 🚀"}'.encode(),
        rb'{"a": "\ud83d\ude80 \u00e9 \\u0000 \\ud800"}',
        b'{"a": {"b": 1}, "b": {"a": 1}}',
        nested(32),
        b'"\xef\xbf\xbd"',
    ],
)
def test_b1_what_every_parser_reads_alike_passes(body: bytes) -> None:
    check_body(JSON, body)


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"{", room.NO_JSON),
        (b"{'a': 1}", room.NO_JSON),
        (b"[1,]", room.NO_JSON),
        (b"{} {}", room.NO_JSON),
        (b"01", room.NO_JSON),
        (b"   ", room.NO_JSON),
        (b'"a\0b"', room.NO_JSON),
        (b"\xff\xfe{\x00}\x00", room.NO_TEXT),
        (b'"\xed\xa0\x80"', room.NO_TEXT),
        (b'"\xc0\x80"', room.NO_TEXT),
        (b"\xef\xbb\xbf{}", room.MARKED),
        pytest.param(f'{{"reason": "see {MINE}"}}'.encode(), room.MISPLACED, id="a key"),
        pytest.param(f'{{"reason": "see {ESCAPED}"}}'.encode(), room.MISPLACED, id="a key, one letter escaped"),
        pytest.param(f'[{{"{ESCAPED}": 1}}]'.encode(), room.MISPLACED, id="a key, escaped, as a name"),
        pytest.param(f'["{EACH_ESCAPED}"]'.encode(), room.MISPLACED, id="a key, each letter escaped"),
        pytest.param(b"[" * 32 + f'"{ESCAPED}"'.encode() + b"]" * 32, room.MISPLACED, id="a key, escaped, deep down"),
        (b'{"a": 1, "a": 1}', room.TWICE),
        (b'{"a": {"b": 1, "\\u0062": 2}}', room.TWICE),
        (b'[{"a": NaN}]', room.NO_NUMBER),
        (b"Infinity", room.NO_NUMBER),
        (b"-Infinity", room.NO_NUMBER),
        (b'{"a": 1e999}', room.TOO_LARGE),
        (b"-1e999", room.TOO_LARGE),
        (b"9223372036854775808", room.TOO_LARGE),
        (b"-9223372036854775809", room.TOO_LARGE),
        (b"1" * 60_000, room.TOO_LARGE),
        (b'{"a": "x\\u0000"}', room.UNSAYABLE),
        (b'{"a": ["\\ud800x"]}', room.UNSAYABLE),
        (b'"\\udc00\\ud800"', room.UNSAYABLE),
        (b'{"a": {"\\u0000": 1}}', room.UNSAYABLE),
        (b"[" * 32 + b'"\\ud800"' + b"]" * 32, room.UNSAYABLE),
        (nested(33), room.TOO_DEEP),
        (nested(32_000), room.TOO_DEEP),
        (b'{"x":' * 33 + b"1" + b"}" * 33, room.TOO_DEEP),
        (b"[" * 32 + b'{"a": "\\ud800"}' + b"]" * 32, room.TOO_DEEP),
    ],
)
def test_b1_what_parsers_read_in_different_ways_is_refused_with_its_reason(body: bytes, reason: str) -> None:
    assert refused(body) == reason


@pytest.mark.parametrize(
    "kind", [b"application/json", b"Application/JSON ; charset=UTF-8", b'application/json;charset="utf-8"']
)
def test_b1_json_in_utf_8_is_taken(kind: bytes) -> None:
    check_body([(b"content-type", kind)], b"{}")


@pytest.mark.parametrize(
    "kinds",
    [
        [],
        [b""],
        [b"text/plain"],
        [b"application/json", b"application/json"],
        [b"application/json, text/plain"],
        [b"application/json; charset=utf-16"],
        [b"application/json; charset=latin-1"],
        [b"application/json; charset=utf-8; charset=utf-7"],
        [b"application/jsonp"],
        [b"application/x-www-form-urlencoded"],
        [b"multipart/form-data; boundary=x"],
        [b"application/\xff"],
    ],
)
def test_b1_another_content_type_is_refused(kinds: list[bytes]) -> None:
    with pytest.raises(UnsupportedMediaType):
        check_body([(b"content-type", kind) for kind in kinds], b"{}")


@pytest.mark.parametrize(
    "body",
    [
        nested(32_000),
        b'{"x":' * 13_000,
        b"[" + b"1," * 32_000 + b"1]",
        b"9" * 65_000,
        json.dumps("\ud800" * 10_000).encode(),
    ],
    ids=lambda body: str(body[:8]),
)
def test_b1_memory_stays_flat(body: bytes) -> None:
    tracemalloc.start()
    try:
        for _ in range(5):
            try:
                check_body(JSON, body)
            except InvalidInput:
                continue
        assert tracemalloc.get_traced_memory()[1] < 8 * 1024 * 1024
    finally:
        tracemalloc.stop()
