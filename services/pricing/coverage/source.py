"""All that the catalog and entitlements know, in one question each."""

import json
from collections.abc import Iterable

from pydantic import TypeAdapter

from services.pricing.access.schemas import OfferedDataset
from services.pricing.coverage.schemas import Standing
from shared.errors import TemporarilyUnavailable
from shared.principal import Principal
from shared.upstream import Answer, Neighbour

OFFERED = TypeAdapter(list[OfferedDataset])
STANDINGS = TypeAdapter(list[Standing])


class CoverageSource:
    """The neighbours."""

    def __init__(self, *, catalog: Neighbour, entitlements: Neighbour) -> None:
        self._catalog = catalog
        self._entitlements = entitlements

    async def offered(self) -> list[OfferedDataset]:
        """Every dataset, as it is offered now."""
        return OFFERED.validate_json(_whole(await self._catalog.get("/internal/datasets")))

    async def standings(self, reader: Principal, offered: Iterable[OfferedDataset]) -> list[Standing]:
        """How it stands with each of these cells for the account, in one question however many there are."""
        cells = [{"dataset": dataset.symbol, "frequencies": dataset.frequencies} for dataset in offered]
        question = {"account": str(reader.account_id), "role": reader.role, "offered": cells}
        answer = await self._entitlements.post("/internal/cells", json.dumps(question).encode())
        return STANDINGS.validate_json(_whole(answer))


def _whole(answer: Answer) -> bytes:
    if answer.status != 200:
        raise TemporarilyUnavailable
    return answer.body
