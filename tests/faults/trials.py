"""Trials of the promise, each repeated until it has a verdict.

On a machine that is too busy an answer may be 503: neither a stale success nor a false refusal, so nothing to hold
against anybody; but such a trial proves nothing either, and is not counted.
"""

import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass

import httpx

BUSY = 503
PATIENCE = 30.0
ATTEMPTS = 4


@dataclass(frozen=True)
class Outcome:
    """What one trial saw: what was wrong, and whether every read that it is about had an answer."""

    wrong: list[str]
    answered: bool

    @classmethod
    def of(cls, *expected: tuple[str, int, Iterable[int]]) -> "Outcome":
        """Of what should not be seen, the status that should be, and those that were."""
        seen = [(what, right, status) for what, right, statuses in expected for status in statuses]
        wrong = [f"{what}: {status}" for what, right, status in seen if status not in (right, BUSY)]
        return cls(wrong, all(status != BUSY for _, _, status in seen))


Trial = Callable[[int], Outcome]
Setting = Callable[[int], AbstractContextManager[Trial]]


@dataclass(frozen=True)
class Verdicts:
    """What all trials together saw."""

    count: int
    unanswered: int
    wrong: list[str]


def verdicts(wanted: int, setting: Setting, *, threads: int = 10) -> Verdicts:
    """Have each thread repeat its trial, in a setting of its own, until it has its share of the verdicts.

    A thread gives up after four times its share.
    """
    share = wanted // threads
    with ThreadPoolExecutor(threads) as pool:
        found = list(pool.map(lambda thread: _share(share, thread, setting), range(threads)))
    outcomes = [outcome for part in found for outcome in part]
    answered = sum(outcome.answered for outcome in outcomes)
    return Verdicts(answered, len(outcomes) - answered, [wrong for outcome in outcomes for wrong in outcome.wrong])


def _share(share: int, thread: int, setting: Setting) -> list[Outcome]:
    found: list[Outcome] = []
    with setting(thread) as trial:
        while sum(outcome.answered for outcome in found) < share and len(found) < ATTEMPTS * share:
            found.append(trial(len(found)))
    return found


def answered(attempt: Callable[[], tuple[int, ...]]) -> tuple[int, ...]:
    """The statuses of the first of some attempts in which nobody was told that the service is busy."""
    for _ in range(ATTEMPTS):
        if BUSY not in (statuses := attempt()):
            return statuses
    raise AssertionError("too busy for a verdict")


def patiently(call: Callable[[], httpx.Response]) -> httpx.Response:
    """What a client is answered who asks again, for half a minute, when told that the service is busy."""
    return timed(call)[0]


def timed(call: Callable[[], httpx.Response]) -> tuple[httpx.Response, float]:
    """The same, and the seconds that the answer took, without those that were spent on being told so."""
    deadline = time.monotonic() + PATIENCE
    while True:
        began = time.monotonic()
        answer = call()
        if answer.status_code != BUSY or began > deadline:
            return answer, time.monotonic() - began
        time.sleep(0.1)


def seen(happens: Callable[[], bool], *, rounds: int = 10) -> bool:
    """Whether a thing that takes the right moment, which a busy machine may miss, happens in one of some rounds."""
    return any(happens() for _ in range(rounds))


@contextmanager
def only(trial: Trial) -> Iterator[Trial]:
    """A trial that needs nothing set up."""
    yield trial
