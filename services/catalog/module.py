"""The catalog's table of contents."""

from services.catalog.database import idempotency, metadata, trail
from services.catalog.datasets import controller
from services.catalog.settings import CatalogSettings
from shared.module import Module

module = Module(
    name="catalog",
    settings=CatalogSettings,
    metadata=metadata,
    revision="0002",
    controllers=(controller.router, controller.internal),
    trail=trail,
    idempotency=idempotency,
)
