"""What no body may hold, whichever operation it is for: no JSON, or JSON that parsers read in different ways.

The values are not handed on: the service reads the same bytes again.
"""

import json
import math
import re
from typing import Any, Never

from gateway.errors import UnsupportedMediaType
from gateway.headers import Headers
from gateway.keys.policy import PATTERN
from shared.errors import InvalidInput, invalid

TWICE = "an object names a field more than once"
NO_TEXT = "not UTF-8"
MARKED = "JSON without a byte order mark"
NO_JSON = "not JSON"
NO_NUMBER = "NaN and Infinity are not JSON"
TOO_LARGE = "a number beyond what can be kept: integers end at 2^63 - 1"
UNSAYABLE = "text without NUL and without lone surrogates"
TOO_DEEP = "nested deeper than 32 levels"
MISPLACED = "without an API key, which belongs in X-API-Key alone; have the one that stood here rotated"
DEEPEST = 32
LARGEST = 2**63 - 1
DIGITS = 20
UNKEPT = re.compile("[\0\ud800-\udfff]")
KEY = re.compile(PATTERN)
BOM = b"\xef\xbb\xbf"
ESCAPE = b"\\u"
TYPE = re.compile(r'\s*application/json\s*(;\s*charset\s*=\s*("utf-8"|utf-8)\s*)?', re.IGNORECASE | re.ASCII)


def check_body(headers: Headers, body: bytes) -> None:
    """Raises UnsupportedMediaType or InvalidInput; whether it fits the operation is the service's to say."""
    types = [value.decode("latin-1") for name, value in headers if name == b"content-type"]
    if len(types) != 1 or not TYPE.fullmatch(types[0]):
        raise UnsupportedMediaType
    if KEY.search(body.decode("latin-1")):  # it would be kept, shown and told to others
        raise _refusal(MISPLACED)
    if body.startswith(BOM):
        raise _refusal(MARKED)
    try:
        value = json.loads(
            body.decode(),
            object_pairs_hook=_unique,
            parse_int=_int,
            parse_float=_float,
            parse_constant=_constant,
        )
    except UnicodeDecodeError:
        raise _refusal(NO_TEXT) from None
    except RecursionError:
        raise _refusal(TOO_DEEP) from None
    except ValueError:
        raise _refusal(NO_JSON) from None
    _check_values(value, has_escapes=ESCAPE in body)


def check_idempotency_key(headers: Headers) -> None:
    """Raises InvalidInput where an API key stands in `Idempotency-Key`, which is kept."""
    if any(name == b"idempotency-key" and KEY.search(value.decode("latin-1")) for name, value in headers):
        raise invalid("header", "/Idempotency-Key", MISPLACED)


def _check_values(value: Any, *, has_escapes: bool) -> None:
    """Depth, level by level, and texts: only an escape can bring in what the bytes did not show."""
    level = [value]
    for _ in range(DEEPEST):
        if has_escapes:
            _check_texts(level)
        level = [child for part in level for child in _children(part)]
    if any(isinstance(part, dict | list) for part in level):
        raise _refusal(TOO_DEEP)
    if has_escapes:
        _check_texts(level)


def _check_texts(level: list[Any]) -> None:
    for text in (text for part in level for text in _texts(part)):
        if UNKEPT.search(text):
            raise _refusal(UNSAYABLE)
        if KEY.search(text):
            raise _refusal(MISPLACED)


def _texts(part: Any) -> list[str]:
    return [part] if isinstance(part, str) else list(part) if isinstance(part, dict) else []


def _children(part: Any) -> list[Any]:
    return list(part.values()) if isinstance(part, dict) else part if isinstance(part, list) else []


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise _refusal(TWICE)
    return found


def _int(digits: str) -> int:
    if len(digits) > DIGITS or abs(value := int(digits)) > LARGEST:
        raise _refusal(TOO_LARGE)
    return value


def _float(digits: str) -> float:
    if math.isinf(value := float(digits)):
        raise _refusal(TOO_LARGE)
    return value


def _constant(_: str) -> Never:
    raise _refusal(NO_NUMBER)


def _refusal(message: str) -> InvalidInput:
    return invalid("body", "", message)
