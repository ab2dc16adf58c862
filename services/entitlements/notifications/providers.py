"""Puts the inbox together."""

from collections.abc import AsyncIterator
from typing import Annotated

from fastapi import Depends, Request

from services.entitlements.notifications.service import InboxService, InboxStream, recipients_of
from shared.application import Transaction
from shared.clock import DatabaseClock
from shared.principal import Caller
from shared.streams import Streams


def _inbox(session: Transaction, caller: Caller) -> InboxService:
    return InboxService(session, DatabaseClock(), caller)


async def _stream(request: Request, caller: Caller) -> AsyncIterator[InboxStream]:
    """Open until the answer has ended; raises TooManyStreams."""
    streams: Streams = request.app.state.streams
    with streams.listening(caller.key or "", recipients_of(caller)) as listener:
        yield InboxStream(streams, listener, caller)


Stream = Annotated[InboxStream, Depends(_stream)]
Inbox = Annotated[InboxService, Depends(_inbox)]
