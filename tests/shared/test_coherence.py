"""The promise, rule by rule: each scenario holds with the rule, and its control without it shows what would happen."""

import time
from collections.abc import Callable
from datetime import datetime, timedelta

import pytest

from shared.coherence.memory import Memory, Question
from shared.coherence.stamp import MARGIN, WINDOW, Changes, Stamp
from tests.shared.scripted import CELL, Made, World


def memory(kind: type[Memory[str]] = Memory) -> Callable[[Callable[[], float]], Memory[str]]:
    """How a world makes its memory."""
    return lambda clock: kind(clock=clock)


# Each scenario ends with a read that starts after a revoke has answered (or the end has passed), and gives its result.


def an_answer_comes_slowly(world: World) -> bool:
    world.known()
    arrive = world.ask()  # told before the revoke
    world.owner.revoke()
    world.wait(WINDOW - 0.001)
    arrive()
    world.wait(MARGIN + 0.002)
    return world.read()


class TrustFromReceipt(Memory[str]):
    def _extend(self, question: Question, answer: Changes) -> None:
        super()._extend(question, answer)
        self._trusted_from = self._clock()


def an_abandoned_question_is_answered_after_all(world: World) -> bool:
    world.known()
    late = world.ask()
    world.owner.revoke()
    world.wait(WINDOW + 0.050)
    world.memory.begin()
    late()
    world.wait(0.011)
    return world.read()


class AnyAnswer(Memory[str]):
    def _is_answer(self, question: Question, nonce: str) -> bool:  # noqa: ARG002
        return True


def a_process_is_paused(world: World) -> bool:
    world.known()
    world.stopped += 1
    world.revoke(waiting=1)
    return world.read()


def a_read_comes_while_an_answer_is_taken_in(world: World) -> bool:
    world.known()
    world.revoke()
    seen: list[bool] = []
    drop = world.memory.drop

    def drop_and_look(name: str) -> None:
        seen.append(world.memory.recall(CELL) is not None)
        drop(name)

    world.memory.drop = drop_and_look  # type: ignore[method-assign]
    world.poll()
    assert len(seen) == 1
    return seen[0]


class TrustBeforeDrops(Memory[str]):
    def _apply(self, question: Question, answer: Changes) -> None:
        self._extend(question, answer)
        super()._apply(question, answer)


def changes_are_told_but(world: World) -> bool:
    world.known()
    world.revoke()
    world.poll()
    return world.read()


class NoDrops(Memory[str]):
    def drop(self, name: str) -> None:
        pass


def a_database_is_restored(world: World) -> bool:
    world.owner.raise_change("other")
    world.known()
    world.owner.restored(number=0)
    world.owner.raise_change("other")
    world.wait(WINDOW + MARGIN)
    world.poll()
    return world.read()


class EpochIgnored(Memory[str]):
    def _is_broken(self, question: Question, answer: Changes) -> bool:
        return self._epoch is None or answer.number < self._applied or question.after < answer.floor


def a_database_is_restored_and_nobody_changed_its_epoch(world: World) -> bool:
    world.owner.raise_change("other")
    world.known()
    world.owner.restored(number=0, epoch=world.owner.epoch)
    world.wait(WINDOW + MARGIN)
    world.poll()
    return world.read()


class LowerNumberIgnored(Memory[str]):
    def _is_broken(self, question: Question, answer: Changes) -> bool:
        return answer.epoch != self._epoch or question.after < answer.floor


def changes_are_trimmed_before_they_were_told(world: World) -> bool:
    world.known()
    world.owner.revoke()
    world.owner.trim()
    world.wait(WINDOW + MARGIN)
    world.poll()
    return world.read()


class TrimIgnored(Memory[str]):
    def _is_broken(self, question: Question, answer: Changes) -> bool:  # noqa: ARG002
        return answer.epoch != self._epoch or answer.number < self._applied


def a_revoke_overtakes_a_lookup(world: World) -> bool:
    world.owner.approve()
    world.poll()
    arrive = world.look_up()
    world.revoke()
    world.poll()
    arrive()
    return world.read()


class OvertakenKept(Memory[str]):
    def _may_keep(self, stamp: Stamp) -> bool:
        return stamp.epoch == self._epoch


def a_restore_overtakes_a_lookup(world: World) -> bool:
    world.owner.raise_change("other")
    world.owner.approve()
    world.poll()
    arrive = world.look_up()
    world.owner.restored(number=0)
    world.wait(WINDOW + MARGIN)
    world.poll()
    arrive()
    return world.read()


class OtherEpochKept(Memory[str]):
    def _may_keep(self, stamp: Stamp) -> bool:
        return stamp.number >= self._applied


def a_grant_ends_while_it_is_remembered(world: World) -> bool:
    world.owner.approve(until=world.now + timedelta(seconds=2))
    world.poll()
    world.read()
    world.wait(1.9)
    world.poll()
    world.wait(0.1)
    return world.read()


class ToTheEnd(Memory[str]):
    def _is_near(self, until: datetime | None) -> bool:
        return until is not None and (self._told is None or self._told >= until)


def nothing_is_asked_any_more(world: World) -> bool:
    world.known()
    world.revoke(waiting=60)
    return world.read()


class TrustForEver(Memory[str]):
    def _is_trusted(self, now: float) -> bool:  # noqa: ARG002
        return True


def a_hint_comes_before_the_change_in_front_of_it(world: World) -> bool:
    world.known()
    world.owner.revoke()
    world.owner.raise_change("other")
    world.memory.drop("other")
    world.wait(WINDOW + MARGIN)
    world.poll()
    return world.read()


class HintCounts(Memory[str]):
    def drop(self, name: str) -> None:
        super().drop(name)
        self._applied += 2 if name == "other" and self._applied == 0 else 0


def the_other_owner_is_asked_what_has_changed(world: World) -> bool:
    world.known()
    world.wait(0.010)
    world.owner.revoke()  # by one process of the owner's; another answers the questions
    world.wait(0.080)
    world.poll()
    world.wait(WINDOW + MARGIN - 0.080)
    return world.read()


class OwnerRemembersChanges(World):
    """A process of the owner's answers as it did less than 100 ms ago."""

    told: tuple[float, Changes] | None = None

    def ask(self) -> Callable[[], bool]:
        question = self.memory.begin()
        if self.told is None or self.seconds - self.told[0] >= 0.100:
            self.told = self.seconds, self.owner.tell(question.after, self.now)
        answer = self.told[1]
        return lambda: self.memory.finish(question.nonce, answer)


def the_other_owner_is_asked_about_the_cell(world: World) -> bool:
    world.known()
    world.revoke()
    world.poll()
    return world.read()


class OwnerRemembersGrants(World):
    """A process of the owner's answers as it did before."""

    def __init__(self, make: Made) -> None:
        super().__init__(make)
        self.told: dict[str, Callable[[], bool]] = {}

    def look_up(self, cell: str = CELL) -> Callable[[], bool]:
        return self.told.setdefault(cell, super().look_up(cell))


def an_owner_is_killed_before_it_answers_and_the_revoke_repeated(world: World) -> bool:
    world.known()
    world.revoke(waiting=0.010)  # committed, and then nobody was there to answer
    world.repeat()
    return world.read()


class RepeatsAtOnce(World):
    """What is closed already is answered without waiting."""

    def repeat(self, cell: str = CELL) -> None:
        assert cell not in self.owner.grants


def world_with(kind: type[Memory[str]] | type[World]) -> World:
    """A world with this memory, or of this kind."""
    return kind(memory()) if issubclass(kind, World) else World(memory(kind))


RULES: dict[str, tuple[Callable[[World], bool], type[Memory[str]] | type[World]]] = {
    "trust runs from when the question was sent": (an_answer_comes_slowly, TrustFromReceipt),
    "a nonce ties an answer to its question": (an_abandoned_question_is_answered_after_all, AnyAnswer),
    "drops come before trust": (a_read_comes_while_an_answer_is_taken_in, TrustBeforeDrops),
    "what changed is dropped": (changes_are_told_but, NoDrops),
    "another epoch drops everything": (a_database_is_restored, EpochIgnored),
    "a lower number drops everything": (a_database_is_restored_and_nobody_changed_its_epoch, LowerNumberIgnored),
    "a trimmed number drops everything": (changes_are_trimmed_before_they_were_told, TrimIgnored),
    "a lookup older than what was applied is not kept": (a_revoke_overtakes_a_lookup, OvertakenKept),
    "a lookup of another epoch is not kept": (a_restore_overtakes_a_lookup, OtherEpochKept),
    "near the end the database is asked": (a_grant_ends_while_it_is_remembered, ToTheEnd),
    "trust ends with its window": (nothing_is_asked_any_more, TrustForEver),
    "a hint only drops": (a_hint_comes_before_the_change_in_front_of_it, HintCounts),
    "no owner tells changes from memory": (the_other_owner_is_asked_what_has_changed, OwnerRemembersChanges),
    "no owner tells grants from memory": (the_other_owner_is_asked_about_the_cell, OwnerRemembersGrants),
    "repeats wait": (an_owner_is_killed_before_it_answers_and_the_revoke_repeated, RepeatsAtOnce),
}
every_rule = pytest.mark.parametrize(("scenario", "without"), RULES.values(), ids=RULES)


@every_rule
def test_no_read_that_starts_after_a_revoke_answered_succeeds(
    scenario: Callable[[World], bool], without: type[Memory[str]] | type[World]
) -> None:
    assert not scenario(World(memory()))


@every_rule
def test_without_the_rule_one_does(scenario: Callable[[World], bool], without: type[Memory[str]] | type[World]) -> None:
    assert scenario(world_with(without))


def test_a_clock_that_stops_in_a_pause_would_not_do() -> None:
    world = World(memory())
    assert not a_process_is_paused(world)
    stopping = World(memory())
    stopping.memory = Memory(clock=lambda: stopping.seconds - stopping.stopped)
    assert a_process_is_paused(stopping)


def test_the_clock_of_owners_and_replicas_is_the_one_that_goes_on_in_a_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    """The machine that runs the tests was never suspended, so its other clocks may say the same."""
    told = {time.CLOCK_BOOTTIME: 7.0}
    monkeypatch.setattr(time, "clock_gettime", told.__getitem__)
    monkeypatch.setattr(time, "monotonic", lambda: 5.0)
    memory: Memory[str] = Memory()
    assert memory.begin().sent == 7.0


@pytest.mark.parametrize(("waiting", "stale"), [(WINDOW + MARGIN, False), (0, True), (WINDOW - 0.01, True)])
def test_a_revoke_waits_until_no_replica_trusts_what_it_knew(waiting: float, stale: bool) -> None:
    world = World(memory())
    world.known()
    world.poll()
    world.revoke(waiting=waiting)
    assert world.read() is stale


@pytest.mark.parametrize(("margin", "stale"), [(MARGIN, False), (0.020, True)])
def test_the_margin_covers_clocks_that_are_slewed_by_8_percent(margin: float, stale: bool) -> None:
    """The replica's clock is slow by as much as the owner's is fast."""
    world = World(memory())
    world.memory = Memory(clock=lambda: world.seconds * (1 - 0.0833))
    world.known()
    world.poll()
    world.revoke(waiting=(WINDOW + margin) / 1.0833)
    assert world.read() is stale


def test_a_lookup_s_count_is_of_its_own_statement() -> None:
    """What is built here is its control: a count that was read after the fact lets an overtaken yes in."""
    world = World(memory())
    world.owner.approve()
    world.poll()
    world.revoke()
    world.poll()
    world.memory.remember(CELL, "yes", until=None, stamp=world.owner.stamp)
    assert world.read()


def test_a_poll_s_count_is_of_the_snapshot_of_its_changes() -> None:
    """Its control likewise."""
    world = World(memory())
    world.known()
    question = world.memory.begin()
    names = world.owner.tell(question.after, world.now).names
    world.owner.revoke()
    late = world.owner.tell(question.after, world.now)  # the count, read after the changes
    world.memory.finish(question.nonce, Changes(late.epoch, late.number, late.floor, names, late.now))
    world.wait(WINDOW + MARGIN)
    world.poll()
    assert world.read()


def test_an_approval_is_seen_by_the_next_read_because_no_is_never_remembered() -> None:
    world = World(memory())
    world.poll()
    assert not world.read()
    world.owner.approve()
    assert world.read()
    world.revoke()
    assert not world.read()
    world.owner.approve()
    assert world.read()


def test_a_change_names_the_cell_because_it_may_be_remembered_under_the_next_grant() -> None:
    world = World(memory())
    world.known()
    world.owner.revoke()
    world.owner.approve()
    world.poll()
    assert world.read()
    world.revoke()
    world.poll()
    assert not world.read()


def test_nothing_is_remembered_before_the_first_answer_nor_without_a_stamp() -> None:
    world = World(memory())
    world.owner.approve()
    assert world.read()
    world.memory.remember(CELL, "yes", until=None, stamp=None)
    world.poll()
    assert world.memory.recall(CELL) is None


def test_a_remembered_yes_needs_no_owner_while_it_is_trusted() -> None:
    world = World(memory())
    world.known()
    for _ in range(10):
        world.wait(0.1)
        world.poll()
        assert world.memory.recall(CELL) == "yes"
    world.wait(WINDOW + 0.001)
    assert world.memory.recall(CELL) is None
    world.poll()
    assert world.memory.recall(CELL) == "yes"


def test_an_abandoned_question_s_answer_is_not_read() -> None:
    world = World(memory())
    world.known()
    arrive = world.ask()
    world.memory.abandon()
    assert not arrive()


def test_memory_is_bounded_and_the_oldest_goes_first() -> None:
    world = World(lambda clock: Memory(clock=clock, largest=3))
    world.poll()
    for name in "abcd":
        world.memory.remember(name, name, until=None, stamp=world.owner.stamp)
    assert [world.memory.recall(name) for name in "abcd"] == [None, "b", "c", "d"]
