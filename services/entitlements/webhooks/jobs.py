"""What the scheduler does for webhooks."""

from services.entitlements.webhooks.repository import SWEPT, WebhookRepository
from shared.clock import DatabaseClock
from shared.database import Database
from shared.jobs import Chore
from shared.settings import ServiceSettings


def sweep_deliveries(_settings: ServiceSettings, database: Database) -> None:
    """Delete the log of deliveries that were over a month ago, whoever's they were, some in a transaction."""
    swept = SWEPT
    while swept == SWEPT:
        with database.transaction() as session:
            swept = WebhookRepository(session).sweep(DatabaseClock().now(session))


chores = (Chore("sweep-deliveries", 3600, sweep_deliveries),)
