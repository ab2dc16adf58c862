"""What is remembered of a yes to any frequency: it is asked for anew once something of that is not offered any more."""

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import cast
from urllib.parse import parse_qs
from uuid import UUID

import pytest

from services.pricing.access.schemas import Allowed, OfferedDataset
from services.pricing.access.source import Access
from shared.coherence.memory import Memory
from shared.coherence.stamp import Changes
from shared.upstream import Answer, Neighbour
from tests.services.pricing.conftest import ACCOUNT

EPOCH = UUID(int=1)
YES = {"allowed": True, "stamp": {"epoch": str(EPOCH), "number": 1}}


class Entitlements:
    """Says yes to everything, and keeps what it was asked."""

    def __init__(self) -> None:
        self.asked: list[list[str]] = []

    async def get(self, _path: str, query: str = "") -> Answer:
        """Yes."""
        self.asked.append(parse_qs(query).get("offered", []))
        return Answer(200, json.dumps(YES).encode())


def trusted() -> Memory[Allowed]:
    """A memory that has just heard that nothing has changed, and whose time stands still."""
    memory: Memory[Allowed] = Memory(clock=lambda: 0.0)
    memory.finish(memory.begin().nonce, Changes(EPOCH, 1, 0, [], datetime(2026, 1, 1, tzinfo=UTC)))
    return memory


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("then", "asked"),
    [
        (["1h", "1d"], [["1h", "1d"]]),
        (["1h", "1d", "1mo"], [["1h", "1d"]]),
        (["1d"], [["1h", "1d"], ["1d"]]),
        ([], [["1h", "1d"], []]),
    ],
)
async def test_a_yes_among_frequencies_of_which_one_is_retired_is_asked_for_anew(
    then: Sequence[str], asked: list[list[str]]
) -> None:
    owner = Entitlements()
    neighbour = cast("Neighbour", owner)
    access = Access(catalog=neighbour, entitlements=neighbour, memory=trusted(), tell=lambda _until: None)
    for frequencies in (["1h", "1d"], then):
        dataset = OfferedDataset(symbol="BTC", frequencies=list(frequencies), sources={}, retired={})
        await access.require_any_allowed(ACCOUNT, dataset)
    assert owner.asked == asked
