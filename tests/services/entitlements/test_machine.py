"""W8: whatever people do in whatever order, and however time passes, the services do what the model says.

The full form, 2,000 examples of 50 steps, runs with TICKGATE_PROOF=1.
"""

from collections import Counter
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
from sqlalchemy import text
from sqlalchemy.orm import Session

from services.entitlements.grants.schemas import GrantOut, GrantsQuery
from services.entitlements.requests.schemas import RequestsQuery
from services.entitlements.retirements.schemas import Retiring
from services.entitlements.standing.schemas import Ruling
from shared.database import Database
from shared.errors import Problem
from tests.conftest import Stores
from tests.proof import PROOF, figure, progress
from tests.services.entitlements.desk import Desk
from tests.services.entitlements.fakes import DAY, MS, OPS, QUANT, SetClock
from tests.services.entitlements.model import LAPSES_AFTER, OPEN, Held, Model

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
SHIFT = st.sampled_from([-MS, timedelta(0)])
TERMS: dict[str, Any] = {
    "days": st.sampled_from([1, 2, 14]),
    "trial": st.booleans(),
    "wait": st.sampled_from([0, 0, 0, 1, 3]),
    "grace": st.sampled_from([0, 3]),
}
GIVEN = precondition(lambda self: any(self.model.grants.values()))


class Machine(RuleBasedStateMachine):
    """One Quant and Ops at a desk in a transaction that is undone; each step is a millisecond after the one before."""

    def __init__(self, database: Database, done: Counter[str]) -> None:
        super().__init__()
        self.done = done
        self.done["examples"] += 1
        progress("W8", self.done["examples"], FORM.max_examples)
        self._stack = ExitStack()
        connection = self._stack.enter_context(database.engine.connect())
        connection.execute(text("set statement_timeout = 0"))  # what is done counts here, not how long it takes
        self.session = self._stack.enter_context(Session(connection, join_transaction_mode="create_savepoint"))
        self.clock, self.model = SetClock(), Model()
        self.desk = Desk(self.session, self.clock)
        self.ids: list[UUID] = []

    def teardown(self) -> None:
        """Undo everything."""
        self._stack.close()

    @initialize()
    def begin(self) -> None:
        """Something waits for Ops, and something was given by a rule, so that there is something to do."""
        self.ask(["1h"])
        self.agree()
        self.ask(["1d"], trial=True)

    def _same(self, meant: str | None, act: Callable[[], Any]) -> Any:
        """Do it and compare the refusal; each is done, or refused and nothing changed."""
        done, refused = None, None
        try:
            with self.session.begin_nested():
                done = act()
        except Problem as problem:
            refused = problem.code
        assert refused == meant
        self.done["refused" if refused else "acts"] += 1
        return done

    def _late(self, back: int, frequency: str) -> int | None:
        """One of the latest requests that have an item of this frequency."""
        asked = [number for number in range(len(self.ids)) if frequency in self.model.status(number)]
        return asked[max(0, len(asked) - back)] if asked else None

    def _grants(self) -> list[GrantOut]:
        return self.desk.grants.page(GrantsQuery(), OPS, after=None, limit=999)

    @rule(frequencies=SOME, trial=st.sampled_from([False, False, True]))
    def ask(self, frequencies: list[str], trial: bool = False) -> None:
        """The Quant asks; of days, a rule may give a trial."""
        meant = self.model.ask(frequencies, trial=trial)
        request = self._same(meant, lambda: self.desk.ask(*frequencies, trial=trial))
        if request is not None:
            self.ids.append(request.id)

    @rule(frequency=ONE, days=st.sampled_from([1, 2, 14]))
    def renew(self, frequency: str, days: int) -> None:
        """The Quant asks for one frequency, held or not, and Ops approves it right after."""
        self.ask([frequency])
        self.agree()
        self.approve(1, frequency, days=days, trial=False, wait=0, grace=0)

    @rule(frequency=ONE, shift=SHIFT)
    def linger(self, frequency: str, shift: timedelta) -> None:
        """Ops gives a day with a grace, the Quant asks for more, and the day ends, or is about to."""
        self.give(frequency, days=1, trial=False, wait=0, grace=3)
        self.agree()
        self.ask([frequency])
        self.agree()
        held = self.model.held(frequency)
        if held is not None and held.ends_at is not None and held.ends_at + shift > self.clock.at:
            self.clock.at = self.model.now = held.ends_at + shift

    @rule(back=BACK, frequency=ONE, **TERMS)
    def approve(self, back: int, frequency: str, **terms: Any) -> None:
        """Ops approves one item of a late request."""
        if (number := self._late(back, frequency)) is not None:
            meant = self.model.approve(number, frequency, **terms)
            verdict = {"frequency": frequency, "outcome": "approve", **self._said(terms)}
            self._same(meant, lambda: self.desk.decide(self.ids[number], decisions=[verdict]))

    @rule(back=BACK, frequency=ONE)
    def refuse(self, back: int, frequency: str) -> None:
        """Ops refuses one item of a late request."""
        if (number := self._late(back, frequency)) is not None:
            meant = self.model.refuse(number, frequency)
            verdict = {"frequency": frequency, "outcome": "refuse", "reason": "No."}
            self._same(meant, lambda: self.desk.decide(self.ids[number], decisions=[verdict]))

    @rule(frequency=ONE, **TERMS)
    def give(self, frequency: str, **terms: Any) -> None:
        """Ops gives without being asked."""
        meant = self.model.give(frequency, **terms)
        self._same(meant, lambda: self.desk.give(frequency, **self._said(terms)))

    def _said(self, terms: dict[str, Any]) -> dict[str, Any]:
        """The terms in the words of a body."""
        starts_at = {"starts_at": self.clock.at + terms["wait"] * DAY} if terms["wait"] else {}
        return {
            "duration_days": terms["days"],
            "trial": terms["trial"],
            "grace_days": terms["grace"],
            **starts_at,
        }

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

    def _pick(self, pick: int) -> tuple[GrantOut, Held]:
        """A grant, whatever became of it, mostly one of the latest."""
        grants = self._grants()[-6:]
        grant = grants[pick % len(grants)]
        earlier = [g for g in self._grants() if g.frequency == grant.frequency and g.id < grant.id]
        return grant, self.model.grants[grant.frequency][len(earlier)]

    @GIVEN
    @rule(pick=ANY)
    def revoke(self, pick: int) -> None:
        """Ops ends a grant."""
        grant, held = self._pick(pick)
        self._same(self.model.end(held, "revoked"), lambda: self.desk.revoke(grant.id))

    @GIVEN
    @rule(pick=ANY)
    def relinquish(self, pick: int) -> None:
        """The Quant gives a grant back."""
        grant, held = self._pick(pick)
        self._same(self.model.end(held, "relinquished"), lambda: self.desk.closings.relinquish(grant.id, QUANT))

    @GIVEN
    @rule(pick=ANY, days=st.sampled_from([1, 3]))
    def schedule(self, pick: int, days: int) -> None:
        """Ops has a grant end later."""
        grant, held = self._pick(pick)
        at = self.clock.at + days * DAY
        self._same(self.model.schedule(held, at), lambda: self.desk.revoke(grant.id, at=at))

    @GIVEN
    @rule(pick=ANY)
    def keep(self, pick: int) -> None:
        """Ops has it end no earlier, after all."""
        grant, held = self._pick(pick)
        self._same(self.model.schedule(held, None), lambda: self.desk.closings.keep(grant.id, OPS))

    @GIVEN
    @rule(pick=ANY, days=st.sampled_from([1, 14]))
    def extend(self, pick: int, days: int) -> None:
        """Ops has it end later."""
        grant, held = self._pick(pick)
        meant = self.model.extend(grant.frequency, held, days)
        self._same(meant, lambda: self.desk.extend(grant.id, duration_days=days))

    @rule(days=st.sampled_from([None, 1, 1]))
    def block(self, days: int | None) -> None:
        """Ops blocks the account, for a day or until unblocked."""
        until = None if days is None else self.clock.at + days * DAY
        meant = self.model.rule((self.clock.at, until))
        self._same(meant, lambda: self.desk.block(until=until))

    @precondition(lambda self: self.model.block is not None)
    @rule()
    def unblock(self) -> None:
        """Ops ends the block, if it has not ended by itself."""
        why = Ruling(reason="Paid")
        meant = self.model.rule(None)
        self._same(meant, lambda: self.desk.standings.unblock(self.desk.account(), why, OPS))

    @precondition(lambda self: len(self.ids) > 3)
    @rule(left=st.sampled_from([False, False, True]))
    def close(self, left: bool) -> None:
        """Ops closes the account, late, as little happens after it."""
        if left:
            self.model.close()
            self._same(None, lambda: self.desk.standings.close(self.desk.account(), Ruling(reason="Left"), OPS))

    @rule(frequency=ONE, days=st.sampled_from([None, 0, 1, 3]))
    def retire(self, frequency: str, days: int | None) -> None:
        """The announcer follows the catalog: one frequency is retired, now or on a day, or none any more."""
        retired = {} if days is None else {frequency: self.clock.at + days * DAY}
        self.model.retire(retired)
        self.desk.retirements.follow(Retiring(symbol="BTC", retired=retired))

    @rule(frequency=ONE, shift=SHIFT)
    def outlive(self, frequency: str, shift: timedelta) -> None:
        """Ops gives what is retired on a day before its end, and the day comes, or is about to."""
        self.give(frequency, days=14, trial=False, wait=0, grace=0)
        self.agree()
        self.retire(frequency, 3)
        self.agree()
        self.clock.at = self.model.now = self.clock.at + 3 * DAY - MS + shift

    @rule()
    def sweep(self) -> None:
        """The scheduler writes what lapsed."""
        self.desk.requests.write_due_lapses(self.clock.at, 100)

    @rule(pick=ANY, shift=SHIFT)
    def wait(self, pick: int, shift: timedelta) -> None:
        """Time passes: to some end or beginning, or to just before it."""
        grants = [grant for cell in self.model.grants.values() for grant in cell]
        ends = [(g.starts_at, g.ends_at, g.revokes_at, g.retires_at, g.grace_until) for g in grants]
        edges = [edge for edge in (*sum(ends, ()), *(self.model.block or ())) if edge is not None]
        edges += [item.asked_at + LAPSES_AFTER for request in self.model.requests for item in request]
        edges += [self.clock.at + hours * DAY / 24 for hours in (1, 24, 100)]
        ahead = sorted(edge + shift for edge in edges if edge + shift > self.clock.at)
        self.clock.at = self.model.now = ahead[pick % min(3, len(ahead))]

    @invariant()
    def agree(self) -> None:
        """Reads, items and grants are what the model says; then a millisecond passes."""
        self.model.now = self.clock.at
        self.done["steps"] += 1
        for frequency in FREQUENCIES:
            told, held = self.desk.may(frequency), self.model.held(frequency)
            assert (frequency, told.state) == (frequency, self.model.state(frequency))
            self.done[f"reads {told.state}"] += 1
            if told.allowed and held is not None:
                assert (told.until, told.grace_until) == (held.until(self.clock.at), held.kept(self.clock.at))
        found = self.desk.requests.page(RequestsQuery(), QUANT, after=None, limit=999)
        statuses = {request.id: {item.frequency: item.status for item in request.items} for request in found}
        assert statuses == {id_: self.model.status(number) for number, id_ in enumerate(self.ids)}
        grants = self._grants()
        for frequency, cell in self.model.grants.items():
            meant = [(held.at(self.model.now)[0], held.ends_at) for held in cell]
            assert [(g.status, g.ends_at) for g in grants if g.frequency == frequency] == meant
            self.done.update(f"grants {status}" for status, _ in meant)
        self.clock.at = self.model.now = self.clock.at + MS


def test_w8_whatever_happens_the_services_agree_with_the_model(scratch: Stores) -> None:
    done: Counter[str] = Counter()
    with closing(Database(scratch.app_url("entitlements"), pool_size=1)) as database:
        machine = cast("type[RuleBasedStateMachine]", partial(Machine, database, done))
        run_state_machine_as_test(machine, settings=FORM)
    figure("W8", **done)
