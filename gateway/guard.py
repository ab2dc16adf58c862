"""Who may pass: an API key becomes a principal, and the row says which roles it admits."""

import asyncio

from starlette.types import Scope

from gateway.errors import RoleNotAllowed
from gateway.keys.errors import InvalidKey, MissingKey
from gateway.keys.policy import KeyParts, parse
from gateway.keys.secrets import KeySecrets
from gateway.keys.service import KeyService
from gateway.keys.uses import KeyUses
from gateway.routes import Route
from shared.clock import DatabaseClock
from shared.database import Database
from shared.principal import Principal

HEADER = b"x-api-key"
ANONYMOUS = Principal(role="anonymous", name="anonymous")


class Guard:
    """Admits a request to a row, or refuses it; every key is looked up in the database each time."""

    def __init__(self, database: Database, secrets: KeySecrets) -> None:
        self._database = database
        self._secrets = secrets
        self._uses = KeyUses()

    async def admit(self, scope: Scope, route: Route) -> Principal:
        """The principal a request is forwarded as; raises MissingKey, InvalidKey, RoleNotAllowed.

        An open row ignores the key.
        """
        if route.is_open:
            return ANONYMOUS
        principal = await asyncio.to_thread(self._look_up, _presented(scope))
        if principal.role not in route.roles:
            raise RoleNotAllowed(roles=list(route.roles))
        return principal

    def _look_up(self, key: KeyParts) -> Principal:
        with self._database.transaction() as session:
            return KeyService(session, DatabaseClock(), self._secrets, self._uses).authenticate(key)


def _presented(scope: Scope) -> KeyParts:
    """The one key of the request; what is misspelt is refused here, before any database is asked."""
    keys = [value for name, value in scope["headers"] if name == HEADER]
    if not keys:
        raise MissingKey
    parts = parse(keys[0].decode("latin-1")) if len(keys) == 1 else None
    if parts is None:
        raise InvalidKey
    return parts
