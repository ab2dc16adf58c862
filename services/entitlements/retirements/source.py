"""The catalog's retirements, asked over its internal API from a process without an event loop."""

from services.entitlements.retirements.schemas import Retiring
from shared.settings import ServiceSettings
from shared.upstream import open_neighbour


def fetch_retirements(settings: ServiceSettings) -> list[Retiring]:
    """What the catalog at its URL says now; raises TemporarilyUnavailable."""
    url, key = settings.url_of("catalog"), settings.identity_private_key
    with open_neighbour("catalog", url, private_key=key, caller="entitlements") as get:
        return [Retiring.model_validate(dataset) for dataset in get("/internal/datasets").json()]
