"""Tells entitlements what was read, for those who decide there."""

import asyncio
from collections.abc import Sequence

from pydantic_core import to_json
from sqlalchemy import RowMapping

from shared.errors import TemporarilyUnavailable
from shared.upstream import Neighbour

PATIENCE = 3.0


async def report(entitlements: Neighbour, counts: Sequence[RowMapping]) -> None:
    """Say how far these counts have come; to say it again changes nothing. Raises TemporarilyUnavailable."""
    body = to_json({"data": [dict(row) for row in counts]})
    try:
        answer = await asyncio.wait_for(entitlements.post("/internal/usage", body), PATIENCE)
    except TimeoutError as error:
        raise TemporarilyUnavailable from error
    if answer.status != 204:
        raise TemporarilyUnavailable
