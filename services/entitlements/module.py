"""The entitlements' table of contents."""

from services.entitlements.access import controller as access
from services.entitlements.accounts import controller as accounts
from services.entitlements.announcer.jobs import chores as announcing
from services.entitlements.audit import controller as audit
from services.entitlements.bulk_decisions import controller as bulk_decisions
from services.entitlements.cards import controller as cards
from services.entitlements.closings import controller as closings
from services.entitlements.coverage import controller as coverage
from services.entitlements.database import feed, idempotency, metadata, outbox, trail
from services.entitlements.decisions import controller as decisions
from services.entitlements.deliveries.jobs import chores as delivering
from services.entitlements.deliveries.tasks import errands, tasks
from services.entitlements.direct_grants import controller as direct_grants
from services.entitlements.grants import controller as grants
from services.entitlements.grants.repository import grant_gauges
from services.entitlements.intake import controller as intake
from services.entitlements.notifications import controller as notifications
from services.entitlements.notifications.repository import newest_numbers
from services.entitlements.questions import controller as questions
from services.entitlements.renewals import controller as renewals
from services.entitlements.requests import controller as requests
from services.entitlements.requests.repository import request_gauges
from services.entitlements.retirements.jobs import chores as retiring
from services.entitlements.rules import controller as rules
from services.entitlements.settings import EntitlementsSettings
from services.entitlements.simulations import controller as simulations
from services.entitlements.standing import controller as standing
from services.entitlements.usage import controller as usage
from services.entitlements.webhooks import controller as webhooks
from services.entitlements.withdrawals import controller as withdrawals
from shared.module import Module

module = Module(
    name="entitlements",
    settings=EntitlementsSettings,
    metadata=metadata,
    revision="0011",
    controllers=(
        intake.router,
        requests.router,
        questions.router,
        withdrawals.router,
        cards.router,
        decisions.router,
        rules.router,
        simulations.router,
        bulk_decisions.router,
        direct_grants.router,
        grants.router,
        closings.router,
        renewals.router,
        accounts.router,
        standing.router,
        notifications.router,
        webhooks.router,
        audit.router,
        access.internal,
        coverage.internal,
        usage.internal,
    ),
    trail=trail,
    idempotency=idempotency,
    neighbours=("catalog", "keys"),
    feed=feed,
    outbox=outbox,
    tasks=tasks,
    chores=(*announcing, *retiring, *delivering),
    errands=errands,
    gauges=(request_gauges, grant_gauges),
    messages=webhooks.messages,
    news=newest_numbers,
)
