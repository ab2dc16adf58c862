"""What the scheduler does for the announcer."""

from services.entitlements.announcer.service import AnnouncerService
from services.entitlements.requests.service import RequestService
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


def write_lapses(_settings: ServiceSettings, database: Database) -> None:
    """Write down, and tell, what nobody decided in time."""
    written, clock = BATCH, DatabaseClock()
    while written == BATCH:
        with database.transaction() as session:
            written = RequestService(session, clock).write_due_lapses(clock.now(session), BATCH)


chores = (Chore("announce-due", 30, announce_due), Chore("write-lapses", 30, write_lapses))
