"""An answer that takes long goes on for as long as its reader would be let in; a short one is not asked about."""

import asyncio

import pytest
from starlette.types import Message

from gateway.keys.errors import InvalidKey
from gateway.streams import EVERY, checking

START: Message = {"type": "http.response.start", "status": 200}
PIECE: Message = {"type": "http.response.body", "body": b"piece", "more_body": True}
END: Message = {"type": "http.response.body", "body": b""}


class Line:
    """A client's line, and a door that closes after a while."""

    def __init__(self, opens: int) -> None:
        self.sent: list[Message] = []
        self.asked = 0
        self._opens = opens

    async def send(self, message: Message) -> None:
        self.sent.append(message)

    async def admit(self) -> None:
        self.asked += 1
        if self.asked > self._opens:
            raise InvalidKey


def served(line: Line, *messages: Message, every: float = EVERY) -> None:
    """Send them all."""

    async def send_all() -> None:
        send = checking(line.send, line.admit, every=every)
        for message in messages:
            await send(message)

    asyncio.run(send_all())


def test_a_short_answer_is_not_asked_about() -> None:
    line = Line(opens=0)
    served(line, START, PIECE, PIECE, END)
    assert (line.asked, len(line.sent)) == (0, 4)


def test_a_long_one_raises_before_the_piece_that_may_not_be_sent() -> None:
    line = Line(opens=1)
    with pytest.raises(InvalidKey):
        served(line, START, PIECE, END, every=-1.0)
    assert line.sent == [START, PIECE]
