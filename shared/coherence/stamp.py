"""What owner and replica tell each other, and the two times that both of them know."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

WINDOW = 0.300  # seconds a replica trusts its memory, from the moment it sent a question that was answered
MARGIN = 0.060  # what an owner waits beyond that: room for clocks that are slewed by 8 %


@dataclass(frozen=True)
class Stamp:
    """How far an owner's count had come when a fact was read: part of the same statement as the fact."""

    epoch: UUID
    number: int


@dataclass(frozen=True)
class Changes:
    """An owner's answer to "what has changed since `after`?", all of it from one snapshot.

    `number` is the newest change, `floor` the newest that was trimmed; `names` are those changed after `after`; `now`
    is the database's clock.
    """

    epoch: UUID
    number: int
    floor: int
    names: Sequence[str]
    now: datetime


def boottime() -> float:
    """Seconds by the one clock that neither jumps nor stops while the machine is suspended."""
    return time.clock_gettime(getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC))


def name_of(*parts: object) -> str:
    """The name under which owner and replicas know a thing: its parts, those that are None left out."""
    return "/".join(str(part) for part in parts if part is not None)
