"""Who could read what at a past instant, as the grants tell it later, is what was answered then."""

import random
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import select
from sqlmodel import col

from services.entitlements.grants.entities import Grant
from services.entitlements.grants.repository import in_force
from services.entitlements.grants.schemas import GrantOut, GrantsQuery, OpsGrantOut
from services.entitlements.requests.schemas import RequestsQuery
from services.entitlements.retirements.schemas import Retiring
from services.entitlements.standing.schemas import Ruling
from shared.errors import InvalidInput, Problem
from shared.principal import Principal
from tests.proof import PROOF, figure
from tests.services.entitlements.desk import Desk
from tests.services.entitlements.fakes import DAY, MS, OPS, OTHER, QUANT, T0, SetClock, person

CELLS = ("1h", "1d", "1mo")
HISTORIES = 200 if PROOF else 5
STEPS = 40
Allowed = dict[str, UUID | None]


class History:
    """Things that happen to one account's cells of BTC, at random."""

    def __init__(self, desk: Desk, clock: SetClock, seed: int) -> None:
        self.desk, self.clock, self.chance = desk, clock, random.Random(seed)  # noqa: S311 - histories, not secrets
        self.who: Principal = person(name=f"Quant {seed}")

    def step(self) -> None:
        """Let time pass, to the millisecond before or at an end that is near; then do something."""
        ends = [at for g in self.grants() for at in (g.ends_at, g.revokes_at) if at and at - MS > self.clock.at]
        wait = self.chance.choice([timedelta(0), MS, timedelta(hours=30), 10 * DAY])
        near = [min(ends) - MS, min(ends)] if ends and self.chance.random() < 0.3 else []
        self.clock.at = self.chance.choice(near) if near else self.clock.at + wait
        acts: list[Callable[[], object]] = [self.ask, self.ask, self.decide, self.revoke, self.grants]
        acts += [self.give] * 5 + [self.unblock] * 2
        acts += [self.extend, self.schedule, self.keep, self.block, self.retire, self.close]
        acts += [self.relinquish, self.withdraw, self.sweep]
        try:
            with self.desk.session.begin_nested():
                self.chance.choice(acts)()
        except (Problem, IndexError):
            self.desk.session.expire_all()

    def ask(self) -> None:
        self.desk.ask(*self.some(), by=self.who, trial=self.chance.random() < 0.5)

    def decide(self, outcome: str | None = None) -> None:
        outcome = outcome or self.chance.choice(["approve", "refuse"])
        self.desk.decide(self.asked(), outcome=outcome, reason="Because")

    def withdraw(self) -> None:
        self.desk.withdraw(self.asked(), by=self.who)

    def sweep(self) -> None:
        """Write what lapsed."""
        self.desk.requests.write_due_lapses(self.clock.at, 100)

    def give(self) -> None:
        later = self.clock.at + self.chance.choice([1, 5]) * DAY
        terms: list[dict[str, Any]] = [
            {"duration_days": 1},
            {"duration_days": 12},
            {"no_end": True},
            {"starts_at": later},
            {"duration_days": 2, "grace_days": 5},
            {"duration_days": 2, "grace_days": 5},
            {"trial": True},
        ]
        self.desk.give(*self.some(), to=self.who, **self.chance.choice(terms))

    def revoke(self) -> None:
        self.desk.revoke(self.open().id)

    def relinquish(self) -> None:
        self.desk.closings.relinquish(self.open().id, self.who)

    def extend(self) -> None:
        self.desk.extend(self.open().id, duration_days=self.chance.choice([1, 20]))

    def schedule(self) -> None:
        self.desk.revoke(self.open().id, at=self.clock.at + self.chance.choice([1, 4]) * DAY)

    def keep(self) -> None:
        self.desk.closings.keep(self.open().id, OPS)

    def block(self) -> None:
        until = self.chance.choice([None, self.clock.at + DAY])
        self.desk.block(self.who, until=until)

    def unblock(self) -> None:
        self.desk.standings.unblock(self.desk.account(self.who), Ruling(reason="Paid"), OPS)

    def retire(self) -> None:
        """Now, later, or not at all any more."""
        at = self.chance.choice([None, self.clock.at, self.clock.at + 3 * DAY])
        retired = {} if at is None else {self.chance.choice(CELLS): at}
        self.desk.retirements.follow(Retiring(symbol="BTC", retired=retired))

    def close(self) -> None:
        """Seldom, as little happens after it."""
        if self.chance.random() < 0.05:
            self.desk.standings.close(self.desk.account(self.who), Ruling(reason="Left"), OPS)

    def asked(self) -> UUID:
        """The request that was made last."""
        return self.desk.requests.page(RequestsQuery(account=self.who.account), OPS, after=None, limit=100)[-1].id

    def open(self) -> GrantOut:
        return self.chance.choice([grant for grant in self.grants() if grant.closed_at is None])

    def some(self) -> list[str]:
        return self.chance.sample(CELLS, self.chance.randint(1, 2))

    def grants(self, as_of: datetime | None = None) -> list[GrantOut]:
        query = GrantsQuery(account=self.who.account, as_of=as_of)
        return self.desk.grants.page(query, OPS, after=None, limit=500)

    def enforced(self) -> Allowed:
        """What may be read now, by which grant; the coverage says the same."""
        answers = {cell: self.desk.may(cell, who=self.who) for cell in CELLS}
        told = {cell.frequency: cell for cell in self.desk.cells(who=self.who)}
        for cell, answer in answers.items():
            assert (answer.state, answer.grant) == (told[cell].state, told[cell].grant)
        return {cell: answer.grant for cell, answer in answers.items() if answer.allowed}


@pytest.fixture(scope="module")
def lived() -> Iterator[Counter[str]]:
    """How much was lived and compared in all."""
    lived: Counter[str] = Counter()
    yield lived
    figure("As of a past instant", **lived)


def play(history: History) -> dict[datetime, Allowed]:
    """Live a history that begins with a grant; what was enforced at each of its instants."""
    history.desk.give("1d", to=history.who, duration_days=12)
    then = {history.clock.at: history.enforced()}
    for _ in range(STEPS):
        history.step()
        then[history.clock.at] = history.enforced()
    return then


@pytest.mark.parametrize("seed", range(HISTORIES))
def test_as_of_any_past_instant_the_grants_are_those_that_were_enforced(
    seed: int, desk: Desk, clock: SetClock, lived: Counter[str]
) -> None:
    history = History(desk, clock, seed)
    then = play(history)
    assert any(then.values())
    for at, allowed in then.items():
        assert {grant.frequency: grant.id for grant in history.grants(as_of=at)} == allowed
    lived.update(histories=1, instants=len(then), grants=len(history.grants()))


def by_term(history: History, at: datetime) -> Allowed:
    """Whoever forgets what ended grants before their term."""
    running = [g for g in history.grants() if g.starts_at <= at and (g.ends_at is None or at < g.ends_at)]
    return {grant.frequency: grant.id for grant in running}


def by_now(history: History, at: datetime) -> Allowed:
    """Whoever takes the grants that are open now for those of then."""
    return {g.frequency: g.id for g in history.grants() if g.closed_at is None and g.starts_at <= at}


def whatever_the_standing(history: History, at: datetime) -> Allowed:
    """Whoever forgets that an account was blocked."""
    found = history.desk.session.scalars(select(Grant).where(col(Grant.account) == history.who.account, *in_force(at)))
    return {grant.frequency: grant.id for grant in found}


@pytest.mark.parametrize("careless", [by_term, by_now, whatever_the_standing])
def test_a_careless_as_of_differs_from_what_was_enforced(
    careless: Callable[[History, datetime], Allowed], desk: Desk, clock: SetClock
) -> None:
    history = History(desk, clock, seed=0)
    then = play(history)
    assert {at for at, allowed in then.items() if careless(history, at) != allowed}


Step = tuple[float, Callable[[History], object]]


def held(days: int, grace: int = 0) -> Step:
    """Ops gives so many days, with a grace."""
    return 0, lambda history: history.desk.give("1d", to=history.who, duration_days=days, grace_days=grace)


def retired(day: float, at: int | None) -> Step:
    """The announcer hears on a day that the frequency is retired on another, or not any more."""
    told = {} if at is None else {"1d": T0 + at * DAY}
    return day, lambda history: history.desk.retirements.follow(Retiring(symbol="BTC", retired=told))


ASKED: Step = (1, lambda history: history.desk.ask("1d", by=history.who))
GRACES: dict[str, list[Step]] = {
    "renewed": [held(2, 5), ASKED, (3, lambda history: history.decide("approve"))],
    "refused": [held(2, 5), ASKED, (3, lambda history: history.decide("refuse"))],
    "withdrawn": [held(2, 5), ASKED, (3, History.withdraw)],
    "given back": [held(2, 5), ASKED, (3, History.relinquish)],
    "over": [held(2, 5), ASKED],
    "lapsed": [held(2, 30), ASKED, (16, History.sweep)],
}
RETIREMENTS: dict[str, list[Step]] = {
    "come": [held(30), retired(1, 3)],
    "moved": [held(30), retired(1, 3), retired(2, 4)],
    "come in a grace": [held(2, 5), ASKED, retired(1.5, 3)],
}
UNDONE: dict[str, list[Step]] = {"undone in time": [held(5), retired(1, 3), retired(2, None)]}
SCRIPTS = {**GRACES, **RETIREMENTS, **UNDONE}


def play_script(history: History, steps: list[Step]) -> dict[datetime, Allowed]:
    """Live what is written; what was enforced on each day, at each step, and a millisecond before both."""
    acts: dict[datetime, Callable[[History], object]] = {T0 + day * DAY: act for day, act in steps}
    then: dict[datetime, Allowed] = {}
    for at in sorted({*acts, *(T0 + day * DAY for day in range(18))}):
        for history.clock.at in (at - MS, at):
            acts.get(history.clock.at, History.grants)(history)
            then[history.clock.at] = history.enforced()
    return then


@pytest.mark.parametrize("steps", SCRIPTS.values(), ids=SCRIPTS)
def test_as_of_is_what_was_enforced_through_graces_and_retirements(
    steps: list[Step], desk: Desk, clock: SetClock
) -> None:
    history = History(desk, clock, seed=0)
    then = play_script(history, steps)
    assert any(then.values())
    assert not all(then.values())
    for at, allowed in then.items():
        assert (at, {grant.frequency: grant.id for grant in history.grants(as_of=at)}) == (at, allowed)


CARELESS: dict[str, Callable[[Grant], tuple[datetime | None, ...]]] = {
    "graces": lambda g: (g.closed_at, g.revokes_at, g.retires_at, g.ends_at),
    "retirements": lambda g: (g.closed_at, g.revokes_at, g.grace_until or g.ends_at),
}
FORGOTTEN = [("graces", script) for script in GRACES] + [("retirements", script) for script in RETIREMENTS]


@pytest.mark.parametrize(("forgotten", "script"), FORGOTTEN)
def test_an_as_of_that_forgets_graces_or_retirements_differs_from_what_was_enforced(
    forgotten: str, script: str, desk: Desk, clock: SetClock
) -> None:
    history = History(desk, clock, seed=0)
    then = play_script(history, SCRIPTS[script])
    grants = desk.session.scalars(select(Grant).where(col(Grant.account) == history.who.account)).all()

    def careless(at: datetime) -> Allowed:
        over = {grant.id for grant in grants if any(end and end <= at for end in CARELESS[forgotten](grant))}
        return {g.frequency: g.id for g in grants if g.starts_at <= at and g.id not in over}

    assert {at for at, allowed in then.items() if careless(at) != allowed}


def test_a_decision_is_named_by_who_took_it(desk: Desk, clock: SetClock) -> None:
    asked = desk.ask("1d")
    desk.decide(asked.id, outcome="approve")
    at, clock.at = clock.at, clock.at + DAY
    [decided] = desk.grants.page(GrantsQuery(as_of=at, account=QUANT.account), OPS, after=None, limit=5)
    assert isinstance(decided, OpsGrantOut)
    assert (decided.request, decided.granted_by, decided.origin) == (asked.id, OPS.account, "ops")


def test_what_is_to_come_is_not_foretold(desk: Desk, clock: SetClock) -> None:
    [grant] = desk.give("1d")
    for as_of, found in ((clock.at - MS, []), (clock.at, [grant.id])):
        page = desk.grants.page(GrantsQuery(as_of=as_of), QUANT, after=None, limit=5)
        assert [given.id for given in page] == found
    with pytest.raises(InvalidInput) as refused:
        desk.grants.page(GrantsQuery(as_of=clock.at + MS), QUANT, after=None, limit=5)
    assert [error["pointer"] for error in refused.value.members["errors"]] == ["/as_of"]


def test_a_quant_sees_only_what_was_their_own(desk: Desk, clock: SetClock) -> None:
    desk.give("1d")
    desk.give("1d", to=OTHER)
    query = GrantsQuery(as_of=clock.at)
    assert [grant.account for grant in desk.grants.page(query, QUANT, after=None, limit=5)] == [QUANT.account]


def test_a_block_shows_as_of_its_time_and_no_other(desk: Desk, clock: SetClock) -> None:
    start = clock.at
    [grant] = desk.give("1d")
    clock.at = start + DAY
    desk.block(until=start + 2 * DAY)
    clock.at = start + 3 * DAY
    desk.block()
    clock.at = start + 4 * DAY
    desk.standings.unblock(desk.account(), Ruling(reason="Paid"), OPS)
    clock.at = start + 9 * DAY
    good = {DAY - MS: True, DAY: False, 2 * DAY - MS: False, 2 * DAY: True, 3 * DAY: False, 4 * DAY: True}
    for after, allowed in good.items():
        found = desk.grants.page(GrantsQuery(as_of=start + after), QUANT, after=None, limit=5)
        assert (after, [given.id for given in found]) == (after, [grant.id] if allowed else [])


def test_a_retirement_undone_after_its_day_revives_nothing(desk: Desk, clock: SetClock) -> None:
    desk.give("1d")
    desk.retirements.follow(Retiring(symbol="BTC", retired={"1d": clock.at + DAY}))
    clock.at += 2 * DAY
    desk.retirements.follow(Retiring(symbol="BTC", retired={}))
    assert not desk.may().allowed
    assert desk.grants.page(GrantsQuery(as_of=clock.at), QUANT, after=None, limit=5) == []
