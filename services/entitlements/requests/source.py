"""What the catalog offers, asked over its internal API."""

from shared.upstream import Neighbour
from shared.wire import Output


class Offer(Output):
    """A dataset and the frequencies it is offered in now."""

    symbol: str
    frequencies: list[str]


class OfferSource:
    """The datasets on offer."""

    def __init__(self, catalog: Neighbour) -> None:
        self._catalog = catalog

    async def find(self, symbol: str) -> Offer | None:
        """The dataset's offer, if there is such a dataset."""
        answer = await self._catalog.get(f"/internal/datasets/{symbol}")
        return None if answer.status == 404 else Offer.model_validate(answer.json())
