"""What the scheduler does about retirements."""

import structlog

from services.entitlements.retirements.service import RetirementService
from services.entitlements.retirements.source import fetch_retirements
from shared.clock import DatabaseClock
from shared.database import Database
from shared.errors import TemporarilyUnavailable
from shared.jobs import Chore
from shared.settings import ServiceSettings

logger = structlog.get_logger(__name__)


def follow_retirements(settings: ServiceSettings, database: Database) -> None:
    """Ask the catalog what is retired, and do what follows from it, a hundred rows in all in a transaction."""
    try:
        datasets = fetch_retirements(settings)
    except TemporarilyUnavailable:
        logger.warning("catalog unavailable")
        return
    for dataset in datasets:
        found = 1
        while found:
            with database.transaction() as session:
                found = RetirementService(session, DatabaseClock()).follow(dataset)


chores = (Chore("follow-retirements", 30, follow_retirements),)
