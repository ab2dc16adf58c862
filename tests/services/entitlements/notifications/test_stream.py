"""A stream's beginning, its news and its end, without a platform around it."""

from collections.abc import Callable, Iterator
from contextlib import closing
from uuid import UUID

import pytest

from services.entitlements.notifications.repository import NotificationRepository, newest_numbers
from services.entitlements.notifications.schemas import NotificationOut
from services.entitlements.notifications.service import InboxStream, recipients_of
from shared.database import Database
from shared.errors import TemporarilyUnavailable
from shared.ids import new_id
from shared.streams import MOST, Streams, TooManyStreams
from tests.conftest import Stores
from tests.services.entitlements.fakes import OPS, QUANT, T0
from tests.shared.ground import NOWHERE

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    """The services run on asyncio only."""
    return "asyncio"


@pytest.fixture
def database(stores: Stores) -> Iterator[Database]:
    """A database in which things are committed."""
    with closing(Database(stores.app_url("entitlements"), pool_size=3)) as database:
        yield database


@pytest.fixture
def tell(database: Database) -> Callable[[str], UUID]:
    """Puts a notification into an inbox; its event's id."""

    def tell(recipient: str) -> UUID:
        event = new_id()
        with database.transaction() as session:
            inbox = NotificationRepository(session)
            inbox.add(
                event_id=event, recipient=recipient, type_="access.decided", data={"n": str(event)}, created_at=T0
            )
        return event

    return tell


async def hear(stream: InboxStream, count: int) -> list[NotificationOut]:
    """The next notifications, silence left out."""
    heard: list[NotificationOut] = []
    async for told in stream.notifications():
        heard += [told] if told else []
        if len(heard) == count:
            break
    return heard


async def test_what_comes_after_the_beginning_is_heard_and_nothing_from_before(
    database: Database, tell: Callable[[str], UUID]
) -> None:
    streams = Streams(database, newest_numbers)
    tell("ops")
    with streams.listening("key", recipients_of(OPS)) as listener:
        stream = InboxStream(streams, listener, OPS)
        await stream.begin(after=None)
        events = [tell(recipient) for recipient in ("ops", str(OPS.account), "ops")]
        tell(str(QUANT.account))
        assert [told.data["n"] for told in await hear(stream, 3)] == [str(event) for event in events]


async def test_after_a_break_it_goes_on(database: Database, tell: Callable[[str], UUID]) -> None:
    streams = Streams(database, newest_numbers)
    for _ in range(3):
        tell(str(QUANT.account))
    with database.transaction() as session:
        rows = NotificationRepository(session).page(
            [str(QUANT.account)], QUANT.account_id, after=None, unread=False, limit=9
        )
        ids = [row[0].id for row in rows]
    with streams.listening("key", recipients_of(QUANT)) as listener:
        stream = InboxStream(streams, listener, QUANT)
        await stream.begin(after=ids[0])
        assert [told.id for told in await hear(stream, 2)] == ids[1:]


async def test_a_stream_that_cannot_ask_where_to_begin_does_not_begin() -> None:
    with closing(Database(NOWHERE, pool_size=1)) as gone:
        streams = Streams(gone, newest_numbers)
        with streams.listening("key", recipients_of(QUANT)) as listener, pytest.raises(TemporarilyUnavailable):
            await InboxStream(streams, listener, QUANT).begin(after=None)


async def test_a_place_is_free_again_when_a_stream_has_ended(database: Database) -> None:
    streams = Streams(database, newest_numbers)
    for _ in range(MOST + 1):
        with streams.listening("key", ["ops"]):
            pass
    with streams.listening("key", ["ops"]), streams.listening("other", ["ops"]):
        pass


async def test_a_sixth_stream_of_a_key_is_refused(database: Database) -> None:
    streams = Streams(database, newest_numbers)
    listeners = [streams.listening("key", ["ops"]) for _ in range(MOST)]
    for listener in listeners:
        listener.__enter__()
    with pytest.raises(TooManyStreams), streams.listening("key", ["ops"]):
        pass
    for listener in listeners:
        listener.__exit__(None, None, None)
