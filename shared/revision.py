"""Whether a service's schema is at the revision that this version of the code was written for."""

from sqlalchemy import column, select, table

from shared.database import Database
from shared.errors import TemporarilyUnavailable
from shared.module import Module


class WrongRevision(TemporarilyUnavailable):
    """The database schema is not at the revision that this version needs; run `tickgate migrate`."""


def check_revision(database: Database, module: Module) -> None:
    """Raises WrongRevision, or whatever the database raises when it does not answer."""
    with database.engine.connect() as connection:
        found = connection.execute(
            select(table("migrations", column("version_num"), schema=module.metadata.schema))
        ).scalar()
    if found != module.revision:
        raise WrongRevision(schema=module.metadata.schema, found=found, needed=module.revision)
