"""What no JSON body may hold, whichever operation it is for: a field that an object names twice."""

import json
from typing import Any

from shared.errors import invalid

TWICE = "an object names a field more than once"


def check_body(body: bytes) -> None:
    """Raises InvalidInput for a field named twice, of which parsers take either; the rest is the service's."""
    try:
        json.loads(body, object_pairs_hook=_unique)
    except (ValueError, RecursionError):  # not JSON, or none that a service takes: it says so itself
        return


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise invalid("body", "", TWICE)
    return found
