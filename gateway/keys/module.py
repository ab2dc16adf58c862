"""The table of contents of accounts and keys."""

from gateway.database import feed, idempotency, metadata, trail
from gateway.keys import controller
from gateway.settings import KeysSettings
from shared.module import Module

module = Module(
    name="keys",
    settings=KeysSettings,
    metadata=metadata,
    revision="0004",
    controllers=(controller.router, controller.internal),
    trail=trail,
    idempotency=idempotency,
    feed=feed,
)
