"""When a use is due to be recorded."""

from datetime import timedelta

from gateway.keys import uses
from gateway.keys.uses import KeyUses


class Seconds:
    """A clock that is turned by hand."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def test_one_caller_is_due_and_the_next_one_a_minute_after_the_last_record() -> None:
    clock = Seconds()
    known = KeyUses(clock)
    assert [known.claim("a"), known.claim("a"), known.claim("b")] == [True, False, True]
    known.settle("a", age=timedelta(seconds=20))
    clock.now += 39.9
    assert not known.claim("a")
    clock.now += 0.2
    assert known.claim("a")


def test_a_claim_that_came_to_nothing_is_free_again_soon() -> None:
    clock = Seconds()
    known = KeyUses(clock)
    assert known.claim("a")
    clock.now += uses.SETTLED_WITHIN.total_seconds()
    assert known.claim("a")


def test_it_does_not_grow_without_end() -> None:
    known = KeyUses(Seconds())
    for number in range(uses.REMEMBERED + 5):
        assert known.claim(str(number))
    assert len(known._due) <= uses.REMEMBERED
