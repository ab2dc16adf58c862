"""What the scheduler does for the announcer."""

from services.entitlements.announcer.service import AnnouncerService
from shared.clock import DatabaseClock
from shared.database import Database
from shared.jobs import Chore
from shared.settings import ServiceSettings

BATCH = 100


def announce_due(_settings: ServiceSettings, database: Database) -> None:
    """Say all that is due, a hundred in a transaction."""
    settled = BATCH
    while settled == BATCH:
        with database.transaction() as session:
            settled = AnnouncerService(session, DatabaseClock()).announce_due(BATCH)


chores = (Chore("announce-due", 30, announce_due),)
