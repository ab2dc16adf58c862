"""The catalog for a process without an event loop: one is run in a thread while the catalog is needed."""

import json
from collections.abc import Iterator
from contextlib import contextmanager

from anyio.from_thread import BlockingPortal, start_blocking_portal

from services.pricing.access.errors import CatalogUnavailable
from services.pricing.access.schemas import OfferedDataset
from services.pricing.settings import PricingSettings
from shared.errors import TemporarilyUnavailable
from shared.identity import Signer
from shared.upstream import Neighbour, open_upstream

NAME = "catalog"


class Catalog:
    """What is on offer, asked from a job."""

    def __init__(self, portal: BlockingPortal, neighbour: Neighbour) -> None:
        self._portal = portal
        self._neighbour = neighbour

    def dataset(self, symbol: str) -> OfferedDataset | None:
        """One dataset, if there is one; raises CatalogUnavailable."""
        return next((dataset for dataset in self.datasets() if dataset.symbol == symbol), None)

    def datasets(self) -> list[OfferedDataset]:
        """Every dataset; raises CatalogUnavailable."""
        try:
            answer = self._portal.call(self._neighbour.get, "/internal/datasets")
        except TemporarilyUnavailable:
            raise CatalogUnavailable from None
        if answer.status != 200:
            raise CatalogUnavailable
        return [OfferedDataset.model_validate(item) for item in json.loads(answer.body)]


@contextmanager
def open_catalog(settings: PricingSettings) -> Iterator[Catalog]:
    """The catalog at its URL, for as long as the block runs."""
    signer = Signer(settings.identity_private_key, issuer="pricing")
    with (
        start_blocking_portal() as portal,
        portal.wrap_async_context_manager(open_upstream(settings.url_of(NAME))) as upstream,
    ):
        yield Catalog(portal, Neighbour(upstream, name=NAME, signer=signer, caller="pricing"))
