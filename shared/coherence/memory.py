"""The replica's side, without clock or network of its own: what it may say yes to from memory, and until when."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from secrets import token_hex
from typing import Generic, TypeVar
from uuid import UUID

from shared.coherence.stamp import WINDOW, Changes, Stamp, boottime

T = TypeVar("T")
LARGEST = 20_000
NEAR = timedelta(seconds=1)


@dataclass(frozen=True)
class Question:
    """What has changed after `after`? Asked at `sent`; the nonce ties its answer to it."""

    nonce: str
    after: int
    epoch: UUID | None
    sent: float


@dataclass(frozen=True)
class Remembered(Generic[T]):
    """A yes, and when it ends."""

    value: T
    until: datetime | None


class Memory(Generic[T]):
    """Yeses of one owner. It never says no: whatever it does not say, the owner is asked, each time anew.

    To be used in one thread. A read calls `recall` after it arrived; None means: ask the owner, for this read alone,
    as no read joins a lookup under way. What that answered is handed to `remember`. Beside that one question at a time
    is asked: `begin`, then `finish` or `abandon`.
    """

    def __init__(self, *, clock: Callable[[], float] = boottime, largest: int = LARGEST) -> None:
        self._clock = clock
        self._largest = largest
        self._remembered: dict[str, Remembered[T]] = {}
        self._epoch: UUID | None = None
        self._applied = 0
        self._asked: Question | None = None
        self._trusted_from = float("-inf")
        self._told: datetime | None = None

    def recall(self, name: str) -> T | None:
        """What is remembered, if it may be trusted: the clock is looked at first, then trust, then memory."""
        now = self._clock()
        if not self._is_trusted(now):
            return None
        found = self._remembered.get(name)
        return None if found is None or self._is_near(found.until) else found.value

    def remember(self, name: str, value: T, *, until: datetime | None, stamp: Stamp | None) -> None:
        """Keep an owner's yes, unless it may be older than what has been applied here."""
        if stamp is None or not self._may_keep(stamp):
            return
        self._remembered.pop(name, None)
        if len(self._remembered) >= self._largest:
            del self._remembered[next(iter(self._remembered))]  # the oldest goes; to forget is always right
        self._remembered[name] = Remembered(value, until)

    def drop(self, name: str) -> None:
        """Forget one name, for instance on a hint: it moves neither the number nor trust."""
        self._remembered.pop(name, None)

    def begin(self) -> Question:
        """The next question, in the place of any other: its time is taken before it is sent."""
        self._asked = Question(token_hex(8), self._applied, self._epoch, self._clock())
        return self._asked

    def abandon(self) -> None:
        """Give up the open question: an answer to it will not be read."""
        self._asked = None

    def finish(self, nonce: str, answer: Changes) -> bool:
        """Take an answer in; false when it is thrown away: it came late, or is not the open question's."""
        question = self._asked
        if question is None or not self._is_answer(question, nonce):
            return False
        self._asked = None
        self._apply(question, answer)  # drops come before trust is extended
        self._extend(question, answer)
        return True

    def _apply(self, question: Question, answer: Changes) -> None:
        if self._is_broken(question, answer):
            self._remembered.clear()
            self._epoch, self._applied = answer.epoch, answer.number
            return
        for name in answer.names:
            self.drop(name)
        self._applied = answer.number

    def _is_broken(self, question: Question, answer: Changes) -> bool:
        """Another epoch, a count that went back, or changes trimmed before they were told: nothing here holds."""
        return answer.epoch != self._epoch or answer.number < self._applied or question.after < answer.floor

    def _is_answer(self, question: Question, nonce: str) -> bool:
        """The open question's answer, and within its window: an older one is thrown away unread."""
        return question.nonce == nonce and self._clock() - question.sent < WINDOW

    def _extend(self, question: Question, answer: Changes) -> None:
        """Trust runs from when the question was sent: what committed later, the answer need not know."""
        self._trusted_from = question.sent
        self._told = answer.now

    def _is_trusted(self, now: float) -> bool:
        return now - self._trusted_from < WINDOW

    def _may_keep(self, stamp: Stamp) -> bool:
        """The same epoch, and read no earlier than what was applied: a lookup may have been overtaken by a revoke."""
        return stamp.epoch == self._epoch and stamp.number >= self._applied

    def _is_near(self, until: datetime | None) -> bool:
        """Within a second of the end by the database's clock, as last told, only the database knows."""
        return until is not None and (self._told is None or self._told + NEAR >= until)
