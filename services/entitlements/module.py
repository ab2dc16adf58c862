"""The entitlements' table of contents."""

from services.entitlements.access import controller as access
from services.entitlements.accounts import controller as accounts
from services.entitlements.database import feed, metadata, outbox
from services.entitlements.decisions import controller as decisions
from services.entitlements.direct_grants import controller as direct_grants
from services.entitlements.grants import controller as grants
from services.entitlements.grants.repository import grant_gauges
from services.entitlements.notifications import controller as notifications
from services.entitlements.notifications.repository import newest_numbers
from services.entitlements.requests import controller as requests
from services.entitlements.requests.repository import request_gauges
from services.entitlements.settings import EntitlementsSettings
from services.entitlements.webhooks import controller as webhooks
from services.entitlements.webhooks.tasks import errands, tasks
from shared.module import Module

module = Module(
    name="entitlements",
    settings=EntitlementsSettings,
    metadata=metadata,
    revision="0008",
    controllers=(
        requests.router,
        decisions.router,
        direct_grants.router,
        grants.router,
        accounts.router,
        notifications.router,
        webhooks.router,
        access.internal,
    ),
    neighbours=("catalog", "keys"),
    feed=feed,
    outbox=outbox,
    tasks=tasks,
    errands=errands,
    gauges=(request_gauges, grant_gauges),
    messages=webhooks.messages,
    news=newest_numbers,
)
