"""Puts the inbox together."""

from collections.abc import AsyncIterator
from typing import Annotated
from uuid import UUID

from fastapi import Depends, Header, Request

from services.entitlements.notifications.service import InboxService, InboxStream, recipients_of
from shared.application import Transaction
from shared.clock import DatabaseClock
from shared.principal import Caller
from shared.streams import Streams


def _inbox(session: Transaction, caller: Caller) -> InboxService:
    return InboxService(session, DatabaseClock(), caller)


async def _stream(
    request: Request,
    caller: Caller,
    last_event_id: Annotated[
        UUID | None, Header(description="The id of the last event that you got; what came after it is sent first.")
    ] = None,
) -> AsyncIterator[InboxStream]:
    """Open until the answer has ended; raises TooManyStreams."""
    streams: Streams = request.app.state.streams
    with streams.listening(caller.key or "", recipients_of(caller)) as listener:
        yield InboxStream(streams, listener, caller, after=last_event_id)


Stream = Annotated[InboxStream, Depends(_stream)]
Inbox = Annotated[InboxService, Depends(_inbox)]
