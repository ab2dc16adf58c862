"""So many at once for each name; the others are told when to come, at the pace at which it is served."""

from contextlib import ExitStack
from datetime import timedelta

import pytest

from shared.outbox import NotNow
from shared.turns import LATEST, SOONEST, Turns


def wait(turns: Turns, name: str = "a") -> float:
    """For how long somebody who comes now has to wait, in seconds."""
    with pytest.raises(NotNow) as early, turns.take(name):
        pass
    return early.value.pause.total_seconds()


def test_so_many_are_let_in_at_once_and_others_when_one_leaves() -> None:
    turns = Turns(2)
    with turns.take("a"):
        with turns.take("a"):
            assert wait(turns) >= SOONEST
            with turns.take("b"):
                """Another name has turns of its own."""
        with turns.take("a"):
            assert wait(turns) >= SOONEST


def test_a_turn_that_fails_is_over_too() -> None:
    turns = Turns(1)
    for _ in range(3):
        with pytest.raises(LookupError), turns.take("a"):
            raise LookupError


def test_those_who_wait_come_one_after_another_but_soon_enough() -> None:
    turns = Turns(1)
    with turns.take("a"):
        waits = [wait(turns) for _ in range(5000)]
    assert waits[0] < waits[1] < waits[2] < 1
    assert max(waits) == pytest.approx(LATEST)


def test_who_is_served_slowly_is_asked_to_come_less_often(monkeypatch: pytest.MonkeyPatch) -> None:
    turns, now = Turns(2), [100.0]
    monkeypatch.setattr("time.monotonic", lambda: now[0])
    with ExitStack() as stays:
        stays.enter_context(turns.take("a"))
        with turns.take("a"):
            now[0] += 14
        stays.enter_context(turns.take("a"))
        first, second = wait(turns), wait(turns)
    assert second - first == pytest.approx(7)
    with turns.take("a"), turns.take("a"):
        assert wait(turns) < 1  # it begins anew where nobody was left


def test_what_is_early_says_for_how_long() -> None:
    assert NotNow(timedelta(seconds=2)).pause == timedelta(seconds=2)
