"""A world without time of its own: an owner that follows a script, a clock that is moved, and reads that are judged."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

from shared.coherence.memory import Memory
from shared.coherence.stamp import MARGIN, WINDOW, Changes, Stamp

T0 = datetime(2026, 5, 4, tzinfo=UTC)
CELL = "ada/BTC/1d"
Made = Callable[[Callable[[], float]], Memory[str]]


@dataclass
class Owner:
    """Grants of cells, and the count; what it is asked it answers at once, the script decides when that arrives."""

    epoch: UUID = field(default_factory=uuid4)
    number: int = 0
    floor: int = 0
    changes: list[tuple[int, str]] = field(default_factory=list)
    grants: dict[str, datetime | None] = field(default_factory=dict)

    def approve(self, cell: str = CELL, until: datetime | None = None) -> None:
        """The cell may be read."""
        self.grants[cell] = until

    def revoke(self, cell: str = CELL) -> None:
        """The cell may not be read: one transaction with the count."""
        self.grants.pop(cell, None)
        self.raise_change(cell)

    def raise_change(self, cell: str = CELL) -> None:
        """Count."""
        self.number += 1
        self.changes.append((self.number, cell))

    def trim(self) -> None:
        """Forget the changes, not their number."""
        self.changes, self.floor = [], self.number

    def restored(self, *, number: int, epoch: UUID | None = None) -> None:
        """An older database without the grants of now."""
        self.epoch, self.number, self.grants = epoch or uuid4(), number, {}
        self.changes = [change for change in self.changes if change[0] <= number]

    def tell(self, after: int, now: datetime) -> Changes:
        """The answer to a question, from one snapshot."""
        names = [name for number, name in self.changes if number > after]
        return Changes(self.epoch, self.number, self.floor, names, now)

    @property
    def stamp(self) -> Stamp:
        """How far the count has come."""
        return Stamp(self.epoch, self.number)


class World:
    """One replica, its owner and the time."""

    def __init__(self, make: Made) -> None:
        self.seconds = 1000.0
        self.stopped = 0.0
        self.owner = Owner()
        self.memory = make(self.clock)

    def clock(self) -> float:
        """CLOCK_BOOTTIME."""
        return self.seconds

    @property
    def now(self) -> datetime:
        """The database's clock."""
        return T0 + timedelta(seconds=self.seconds)

    def wait(self, seconds: float) -> None:
        """Time passes."""
        self.seconds += seconds

    def ask(self) -> Callable[[], bool]:
        """Send a question, which is answered at once; the answer arrives when the result is called."""
        question = self.memory.begin()
        answer = self.owner.tell(question.after, self.now)
        return lambda: self.memory.finish(question.nonce, answer)

    def poll(self) -> bool:
        """Ask, and have the answer at once."""
        return self.ask()()

    def look_up(self, cell: str = CELL) -> Callable[[], bool]:
        """Ask the owner about a cell; its answer, read now, arrives when the result is called."""
        allowed, stamp, until = cell in self.owner.grants, self.owner.stamp, self.owner.grants.get(cell)
        if until is not None and until <= self.now:
            allowed = False

        def arrive() -> bool:
            if allowed:
                self.memory.remember(cell, "yes", until=until, stamp=stamp)
            return allowed

        return arrive

    def read(self, cell: str = CELL) -> bool:
        """Whether a read that arrives now succeeds."""
        return self.memory.recall(cell) is not None or self.look_up(cell)()

    def known(self) -> None:
        """An approved cell, read once and remembered."""
        self.owner.approve()
        assert self.poll()
        assert self.read()
        assert self.memory.recall(CELL) == "yes"

    def revoke(self, cell: str = CELL, *, waiting: float = WINDOW + MARGIN) -> None:
        """Revoke and return when that has been answered."""
        self.owner.revoke(cell)
        self.wait(waiting)

    def repeat(self, cell: str = CELL) -> None:
        """Revoke once more what is revoked, and return when that has been answered."""
        assert cell not in self.owner.grants
        self.wait(WINDOW + MARGIN)
