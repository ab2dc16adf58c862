"""What the scheduler does for webhooks."""

import structlog

from services.entitlements.accounts.source import fetch_keyless
from services.entitlements.deliveries.service import disable_keyless, give_up
from services.entitlements.webhooks.repository import SWEPT, WebhookRepository
from services.entitlements.webhooks.service import DUE
from shared.clock import DatabaseClock
from shared.database import Database
from shared.errors import TemporarilyUnavailable
from shared.jobs import Chore
from shared.settings import ServiceSettings

logger = structlog.get_logger(__name__)


def end_keyless(settings: ServiceSettings, database: Database) -> None:
    """Stop webhooks that hear what all of Ops is told, once nobody can come in as their account any more."""
    with database.transaction() as session:
        accounts = WebhookRepository(session).accounts_of_ops()
    try:
        keyless = fetch_keyless(settings, accounts) if accounts else []
    except TemporarilyUnavailable:
        logger.warning("accounts unavailable")
        return
    for account in keyless:
        with database.transaction() as session:
            disable_keyless(session, account, DatabaseClock().now(session))


def sweep_deliveries(_settings: ServiceSettings, database: Database) -> None:
    """Delete the log of deliveries that were over a month ago, whoever's they were, some in a transaction."""
    swept = SWEPT
    while swept == SWEPT:
        with database.transaction() as session:
            swept = WebhookRepository(session).sweep(DatabaseClock().now(session))


def fail_abandoned(_settings: ServiceSettings, database: Database) -> None:
    """Say of what waits for an attempt that was given up that it has failed, each in a transaction."""
    with database.transaction() as session:
        abandoned = WebhookRepository(session).abandoned(DUE)
    for due in abandoned:
        with database.transaction() as session:
            give_up(session, due, DatabaseClock().now(session))


chores = (
    Chore("end-keyless", 30, end_keyless),
    Chore("fail-abandoned", 30, fail_abandoned),
    Chore("sweep-deliveries", 3600, sweep_deliveries),
)
