"""All that the catalog and entitlements know, in one question each."""

from uuid import UUID

from pydantic import TypeAdapter

from services.pricing.access.schemas import OfferedDataset
from services.pricing.coverage.schemas import Standing
from shared.errors import TemporarilyUnavailable
from shared.upstream import Neighbour

OFFERED = TypeAdapter(list[OfferedDataset])
STANDINGS = TypeAdapter(list[Standing])


class CoverageSource:
    """The neighbours."""

    def __init__(self, *, catalog: Neighbour, entitlements: Neighbour) -> None:
        self._catalog = catalog
        self._entitlements = entitlements

    async def offered(self) -> list[OfferedDataset]:
        """Every dataset, as it is offered now."""
        return OFFERED.validate_json(await _whole(self._catalog, "/internal/datasets"))

    async def standings(self, account: UUID) -> list[Standing]:
        """How it stands with the cells of which the account ever held or asked for something."""
        return STANDINGS.validate_json(await _whole(self._entitlements, "/internal/cells", f"account={account}"))


async def _whole(neighbour: Neighbour, path: str, query: str = "") -> bytes:
    answer = await neighbour.get(path, query)
    if answer.status != 200:
        raise TemporarilyUnavailable
    return answer.body
