"""Who may pass: an API key becomes a principal, and the row says which roles it admits."""

import asyncio
import hashlib
import hmac
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from starlette.types import Scope

from gateway.errors import RoleNotAllowed
from gateway.keys.errors import InvalidKey, MissingKey
from gateway.keys.policy import KeyParts, parse
from gateway.keys.secrets import KeySecrets
from gateway.keys.service import KeyService, Vouched
from gateway.keys.uses import KeyUses
from gateway.routes import Route
from shared.clock import DatabaseClock
from shared.coherence.memory import Memory
from shared.coherence.stamp import boottime
from shared.database import Database
from shared.errors import TemporarilyUnavailable
from shared.principal import Principal

HEADER = b"x-api-key"
USE_NOTED_EVERY = 60.0  # seconds after which a key is looked up although it is remembered: that notes its use
LOOK_UPS = 8  # at once: as many as there are connections
PATIENCE = 0.5  # seconds that a look-up waits for its turn
ANONYMOUS = Principal(role="anonymous", name="anonymous")


@dataclass(frozen=True)
class KnownKey:
    """A key that opened: the digest of its secret, of 256 random bits, whose it is, and when that was looked up."""

    digest: bytes
    principal: Principal
    at: float


class Guard:
    """Admits a request to a row, or refuses it; a key is looked up in the database unless it is remembered."""

    def __init__(self, database: Database, secrets: KeySecrets, memory: Memory[KnownKey]) -> None:
        self._database = database
        self._secrets = secrets
        self._uses = KeyUses()
        self._memory = memory
        self._threads = ThreadPoolExecutor(LOOK_UPS, thread_name_prefix="keys")
        self._turns = asyncio.Semaphore(LOOK_UPS)

    def close(self) -> None:
        """End the threads."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def admit(self, scope: Scope, route: Route) -> Principal:
        """The principal a request is forwarded as; raises MissingKey, InvalidKey, RoleNotAllowed.

        An open row ignores the key.
        """
        if route.is_open:
            return ANONYMOUS
        principal = await self._holder(_presented(scope))
        if principal.role not in route.roles:
            raise RoleNotAllowed(roles=list(route.roles))
        return principal

    def remembered(self, key: KeyParts) -> Principal | None:
        """Whose key it is, if that may be said from memory; its use is noted by one look-up a minute."""
        known = self._memory.recall(key.id)
        if known is None or boottime() - known.at >= USE_NOTED_EVERY:
            return None
        return known.principal if hmac.compare_digest(known.digest, _digest(key)) else None

    async def _holder(self, key: KeyParts) -> Principal:
        known = self.remembered(key)
        if known is not None:
            return known
        at = boottime()
        found = await self._looked_up(key)
        value = KnownKey(_digest(key), found.principal, at)
        self._memory.remember(key.id, value, until=found.until, stamp=found.stamp)
        return found.principal

    async def _looked_up(self, key: KeyParts) -> Vouched:
        """In a thread; when the database is slow nobody queues for it longer than for a connection."""
        try:
            async with asyncio.timeout(PATIENCE):
                await self._turns.acquire()
        except TimeoutError:
            raise TemporarilyUnavailable from None
        try:
            return await asyncio.get_running_loop().run_in_executor(self._threads, self._look_up, key)
        finally:
            self._turns.release()

    def _look_up(self, key: KeyParts) -> Vouched:
        with self._database.transaction() as session:
            return KeyService(session, DatabaseClock(), self._secrets, self._uses).vouch(key)


def _digest(key: KeyParts) -> bytes:
    return hashlib.sha256(key.secret.encode()).digest()


def _presented(scope: Scope) -> KeyParts:
    """The one key of the request; what is misspelt is refused here, before any database is asked."""
    keys = [value for name, value in scope["headers"] if name == HEADER]
    if not keys:
        raise MissingKey
    parts = parse(keys[0].decode("latin-1")) if len(keys) == 1 else None
    if parts is None:
        raise InvalidKey
    return parts
