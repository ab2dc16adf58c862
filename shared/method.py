"""What the caller asked for, where the door asks a service otherwise: a HEAD is answered by what answers GET."""

from collections.abc import Mapping

HEADER = "x-tickgate-method"


def sends_body(headers: Mapping[str, str]) -> bool:
    """Whether the answer's body goes any further than the door."""
    return headers.get(HEADER) != "HEAD"
