"""Who may pass: an API key becomes a principal, and the row says which roles it admits."""

import asyncio
import hashlib
import hmac
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import structlog
from starlette.types import Scope

from gateway.errors import RoleNotAllowed
from gateway.keys.errors import InvalidKey, MissingKey
from gateway.keys.policy import KeyParts, parse
from gateway.keys.secrets import KeySecrets
from gateway.keys.service import KeyService, Vouched
from gateway.keys.uses import KeyUses
from gateway.routes import Route
from shared.clock import Clock, DatabaseClock
from shared.coherence.memory import Memory
from shared.coherence.stamp import boottime
from shared.database import Database
from shared.errors import TemporarilyUnavailable
from shared.principal import Principal

HEADER = b"x-api-key"
LOOK_UPS = 8  # at once: as many as there are connections
PATIENCE = 0.5  # seconds that a look-up waits for its turn
AGAIN = 5.0  # seconds until a use that could not be noted is due again
ANONYMOUS = Principal(role="anonymous", name="anonymous")
logger = structlog.get_logger(__name__)


@dataclass
class KnownKey:
    """A key that opened: the digest of its secret, of 256 random bits, whose it is, and when its next use is due."""

    digest: bytes
    principal: Principal
    due: float


class Guard:
    """Admits a request to a row, or refuses it; a key is looked up in the database unless it is remembered.

    Once a minute a remembered key is looked up all the same, which notes its use; no request waits for that.
    """

    def __init__(
        self,
        database: Database,
        secrets: KeySecrets,
        memory: Memory[KnownKey],
        *,
        clock: Clock | None = None,
        seconds: Callable[[], float] = boottime,
    ) -> None:
        self._database = database
        self._secrets = secrets
        self._memory = memory
        self._clock = clock or DatabaseClock()
        self._seconds = seconds
        self._uses = KeyUses(seconds)
        self._noting: set[asyncio.Task[None]] = set()
        self._threads = ThreadPoolExecutor(LOOK_UPS, thread_name_prefix="keys")
        self._turns = asyncio.Semaphore(LOOK_UPS)

    def close(self) -> None:
        """End the threads, each when what it asks has been answered or its time is up: their database closes next."""
        self._threads.shutdown(cancel_futures=True)

    async def admit(self, scope: Scope, route: Route) -> Principal:
        """The principal a request is forwarded as; raises MissingKey, InvalidKey, RoleNotAllowed."""
        principal = await self.identify(scope, route)
        require_role(principal, route)
        return principal

    async def identify(self, scope: Scope, route: Route) -> Principal:
        """Who is calling, whatever that role may do; an open row ignores the key. Raises MissingKey, InvalidKey."""
        return ANONYMOUS if route.is_open else await self._holder(_presented(scope))

    def remembered(self, key: KeyParts) -> KnownKey | None:
        """The key as it was looked up, if it may be answered from memory."""
        known = self._memory.recall(key.id)
        return known if known and hmac.compare_digest(known.digest, _digest(key)) else None

    async def _holder(self, key: KeyParts) -> Principal:
        known = self.remembered(key)
        if known is None:
            return await self._ask(key)
        now = self._seconds()
        if now >= known.due:
            known.due = now + AGAIN
            task = asyncio.create_task(self._note(key))
            self._noting.add(task)
            task.add_done_callback(self._noting.discard)
        return known.principal

    async def _note(self, key: KeyParts) -> None:
        """Look a remembered key up; what stands in the way of that is no reason to refuse it."""
        try:
            await self._ask(key)
        except InvalidKey:
            self._memory.drop(key.id)
        except Exception as error:
            logger.warning("the use of a key is not noted", error=repr(error))

    async def _ask(self, key: KeyParts) -> Principal:
        found = await self._looked_up(key)
        due = self._seconds() + found.use_due_in.total_seconds()
        value = KnownKey(_digest(key), found.principal, due)
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
            return KeyService(session, self._clock, self._secrets, self._uses).vouch(key)


def require_role(principal: Principal, route: Route) -> None:
    """Raises RoleNotAllowed where the row does not admit the role."""
    if not route.is_open and principal.role not in route.roles:
        raise RoleNotAllowed(roles=list(route.roles))


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
