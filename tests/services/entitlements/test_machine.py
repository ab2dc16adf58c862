"""W8: whatever people do in whatever order, and however time passes, the services do what the model says.

The full form, 2,000 examples of 50 steps, runs with TICKGATE_PROOF=1.
"""

import os
from collections.abc import Callable
from contextlib import ExitStack, closing
from datetime import timedelta
from functools import partial
from typing import Any, cast
from uuid import UUID

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from sqlalchemy.orm import Session

from services.entitlements.grants.schemas import GrantOut, GrantsQuery
from services.entitlements.requests.schemas import RequestsQuery
from shared.database import Database
from shared.errors import Problem
from tests.conftest import Stores
from tests.services.entitlements.desk import Desk
from tests.services.entitlements.fakes import DAY, MS, OPS, QUANT, SetClock
from tests.services.entitlements.model import LAPSES_AFTER, OPEN, Model

PROOF = os.environ.get("TICKGATE_PROOF") == "1"
FORM = settings(
    max_examples=2000 if PROOF else 30,
    stateful_step_count=50 if PROOF else 20,
    derandomize=not PROOF,
    deadline=None,
    database=None,
    suppress_health_check=list(HealthCheck),
)
FREQUENCIES = ("1h", "1d")
ONE, SOME = st.sampled_from(FREQUENCIES), st.sampled_from([["1h"], ["1d"], ["1h", "1d"]])
ANY, BACK = st.integers(0, 999), st.sampled_from([1, 1, 2])
TERMS: dict[str, Any] = {
    "days": st.sampled_from([1, 2, 14]),
    "trial": st.booleans(),
    "wait": st.sampled_from([0, 0, 0, 1, 3]),
}


class Machine(RuleBasedStateMachine):
    """One Quant and Ops at a desk in a transaction that is undone; each step is a millisecond after the one before."""

    def __init__(self, database: Database) -> None:
        super().__init__()
        self._stack = ExitStack()
        connection = self._stack.enter_context(database.engine.connect())
        self.session = self._stack.enter_context(Session(connection, join_transaction_mode="create_savepoint"))
        self.clock, self.model = SetClock(), Model()
        self.desk = Desk(self.session, self.clock)
        self.ids: list[UUID] = []

    def teardown(self) -> None:
        """Undo everything."""
        self._stack.close()

    @initialize()
    def begin(self) -> None:
        """Something is asked for, so that there is something to do."""
        self.ask(["1h", "1d"])

    def _same(self, meant: str | None, act: Callable[[], Any]) -> Any:
        """Do it and compare the refusal; each is done, or refused and nothing changed."""
        done, refused = None, None
        try:
            with self.session.begin_nested():
                done = act()
        except Problem as problem:
            refused = problem.code
        assert refused == meant
        return done

    def _late(self, back: int, frequency: str) -> int | None:
        """One of the latest requests that have an item of this frequency."""
        asked = [number for number in range(len(self.ids)) if frequency in self.model.status(number)]
        return asked[max(0, len(asked) - back)] if asked else None

    def _grants(self) -> list[GrantOut]:
        return self.desk.grants.page(GrantsQuery(), OPS, after=None, limit=999)

    @rule(frequencies=SOME)
    def ask(self, frequencies: list[str]) -> None:
        """The Quant asks."""
        request = self._same(self.model.ask(frequencies), lambda: self.desk.ask(*frequencies))
        if request is not None:
            self.ids.append(request.id)

    @rule(frequency=ONE)
    def ask_for_renewal(self, frequency: str) -> None:
        """The Quant asks for what is held."""
        if self.model.held(frequency) and not self.model.pending(frequency):
            self.sweep()
            self.model.ask([frequency], anyway=True)
            self.ids.append(self.desk.ask_anyway(frequency))

    @rule(back=BACK, frequency=ONE, **TERMS)
    def approve(self, back: int, frequency: str, days: int, trial: bool, wait: int) -> None:
        """Ops approves one item of a late request."""
        if (number := self._late(back, frequency)) is not None:
            meant = self.model.decide(number, frequency, days=days, trial=trial, wait=wait)
            verdict = {"frequency": frequency, "outcome": "approve", **self._terms(days, trial, wait)}
            self._same(meant, lambda: self.desk.decide(self.ids[number], decisions=[verdict]))

    @rule(back=BACK, frequency=ONE)
    def refuse(self, back: int, frequency: str) -> None:
        """Ops refuses one item of a late request."""
        if (number := self._late(back, frequency)) is not None:
            meant = self.model.decide(number, frequency, days=None, trial=False)
            verdict = {"frequency": frequency, "outcome": "refuse", "reason": "No."}
            self._same(meant, lambda: self.desk.decide(self.ids[number], decisions=[verdict]))

    @rule(frequency=ONE, **TERMS)
    def give(self, frequency: str, days: int, trial: bool, wait: int) -> None:
        """Ops gives without being asked."""
        meant = self.model.give(frequency, days=days, trial=trial, wait=wait)
        self._same(meant, lambda: self.desk.give(frequency, **self._terms(days, trial, wait)))

    def _terms(self, days: int, trial: bool, wait: int) -> dict[str, Any]:
        starts_at = {"starts_at": self.clock.at + wait * DAY} if wait else {}
        return {"duration_days": days, "trial": trial, **starts_at}

    @rule(back=BACK)
    def question(self, back: int) -> None:
        """Ops asks back."""
        number = max(0, len(self.ids) - back)
        meant = self.model.move(number, OPEN, "needs-info", "already-decided")
        self._same(meant, lambda: self.desk.question(self.ids[number]))

    @rule(back=BACK)
    def answer(self, back: int) -> None:
        """The Quant answers."""
        number = max(0, len(self.ids) - back)
        meant = self.model.move(number, ("needs-info",), "pending", "nothing-to-answer")
        self._same(meant, lambda: self.desk.answer(self.ids[number]))

    @rule(back=BACK)
    def withdraw(self, back: int) -> None:
        """The Quant takes it back."""
        number = max(0, len(self.ids) - back)
        meant = self.model.move(number, OPEN, "withdrawn", "nothing-to-withdraw")
        self._same(meant, lambda: self.desk.withdraw(self.ids[number]))

    @precondition(lambda self: any(self.model.grants.values()))
    @rule(pick=ANY)
    def revoke(self, pick: int) -> None:
        """Ops ends a grant, whatever became of it before."""
        grants = self._grants()
        grant = grants[pick % len(grants)]
        earlier = [g for g in grants if g.frequency == grant.frequency and g.id < grant.id]
        meant = self.model.revoke(self.model.grants[grant.frequency][len(earlier)])
        self._same(meant, lambda: self.desk.revoke(grant.id))

    @rule()
    def sweep(self) -> None:
        """The scheduler writes what lapsed."""
        self.desk.requests.write_due_lapses(self.clock.at, 100)

    @rule(pick=ANY, shift=st.sampled_from([-MS, timedelta(0)]))
    def wait(self, pick: int, shift: timedelta) -> None:
        """Time passes: to some end or beginning, or to just before it."""
        grants = [grant for cell in self.model.grants.values() for grant in cell]
        edges = [edge for grant in grants for edge in (grant.starts_at, grant.ends_at) if edge is not None]
        edges += [item.asked_at + LAPSES_AFTER for request in self.model.requests for item in request]
        edges += [self.clock.at + hours * DAY / 24 for hours in (1, 24, 100)]
        ahead = sorted(edge + shift for edge in edges if edge + shift > self.clock.at)
        self.clock.at = self.model.now = ahead[pick % min(3, len(ahead))]

    @invariant()
    def agree(self) -> None:
        """Reads, items and grants are what the model says; then a millisecond passes."""
        self.model.now = self.clock.at
        for frequency in FREQUENCIES:
            told, held = self.desk.may(frequency), self.model.held(frequency)
            assert (frequency, told.state) == (frequency, self.model.state(frequency))
            if told.allowed and held is not None:
                assert told.until == held.ends_at
        found = self.desk.requests.page(RequestsQuery(), QUANT, after=None, limit=999)
        statuses = {request.id: {item.frequency: item.status for item in request.items} for request in found}
        assert statuses == {id_: self.model.status(number) for number, id_ in enumerate(self.ids)}
        grants = self._grants()
        for frequency, cell in self.model.grants.items():
            meant = [(held.at(self.model.now)[0], held.ends_at) for held in cell]
            assert [(g.status, g.ends_at) for g in grants if g.frequency == frequency] == meant
        self.clock.at = self.model.now = self.clock.at + MS


def test_w8_whatever_happens_the_services_agree_with_the_model(scratch: Stores) -> None:
    with closing(Database(scratch.app_url("entitlements"), pool_size=1)) as database:
        machine = cast("type[RuleBasedStateMachine]", partial(Machine, database))
        run_state_machine_as_test(machine, settings=FORM)
