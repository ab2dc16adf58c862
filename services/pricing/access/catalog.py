"""The catalog for a process without an event loop."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from services.pricing.access.errors import CatalogUnavailable
from services.pricing.access.schemas import OfferedDataset
from services.pricing.settings import PricingSettings
from shared.errors import TemporarilyUnavailable
from shared.upstream import Answer, open_neighbour

NAME = "catalog"


class Catalog:
    """What is on offer, asked from a job."""

    def __init__(self, get: Callable[[str], Answer]) -> None:
        self._get = get

    def dataset(self, symbol: str) -> OfferedDataset | None:
        """One dataset, if there is one; raises CatalogUnavailable."""
        return next((dataset for dataset in self.datasets() if dataset.symbol == symbol), None)

    def datasets(self) -> list[OfferedDataset]:
        """Every dataset; raises CatalogUnavailable."""
        try:
            answer = self._get("/internal/datasets")
        except TemporarilyUnavailable:
            raise CatalogUnavailable from None
        if answer.status != 200:
            raise CatalogUnavailable
        return [OfferedDataset.model_validate(item) for item in json.loads(answer.body)]


@contextmanager
def open_catalog(settings: PricingSettings) -> Iterator[Catalog]:
    """The catalog at its URL, for as long as the block runs."""
    url, key = settings.url_of(NAME), settings.identity_private_key
    with open_neighbour(NAME, url, private_key=key, caller="pricing") as get:
        yield Catalog(get)
