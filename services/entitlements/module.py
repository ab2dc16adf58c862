"""The entitlements' table of contents."""

from services.entitlements.access import controller as access
from services.entitlements.accounts import controller as accounts
from services.entitlements.audit import controller as audit
from services.entitlements.cards import controller as cards
from services.entitlements.database import feed, idempotency, metadata, outbox, trail
from services.entitlements.decisions import controller as decisions
from services.entitlements.direct_grants import controller as direct_grants
from services.entitlements.grants import controller as grants
from services.entitlements.notifications import controller as notifications
from services.entitlements.notifications.tasks import tasks
from services.entitlements.requests import controller as requests
from services.entitlements.settings import EntitlementsSettings
from shared.module import Module

module = Module(
    name="entitlements",
    settings=EntitlementsSettings,
    metadata=metadata,
    revision="0008",
    controllers=(
        requests.router,
        cards.router,
        decisions.router,
        direct_grants.router,
        grants.router,
        accounts.router,
        notifications.router,
        audit.router,
        access.internal,
    ),
    trail=trail,
    idempotency=idempotency,
    neighbours=("catalog", "keys"),
    feed=feed,
    outbox=outbox,
    tasks=tasks,
)
