"""A source's account in the database: every call is admitted and paid there, whichever process makes it."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from services.pricing.feeds import budget
from services.pricing.feeds.budget import Allowance, Purpose
from services.pricing.feeds.errors import BudgetSpent, CircuitOpen
from services.pricing.feeds.repository import lock_account
from shared.clock import Clock
from shared.database import Database


class Ledger:
    """The `Gate` of a source with a monthly budget; used by one thread.

    A call's expected credits are taken before it and corrected after it: a process that dies meanwhile has paid.
    """

    def __init__(
        self,
        database: Database,
        source: str,
        allowance: Allowance,
        *,
        clock: Clock,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._database = database
        self._source = source
        self._allowance = allowance
        self._clock = clock
        self._sleep = sleep
        self._purpose = Purpose.BACKFILL

    @contextmanager
    def spending(self, purpose: Purpose) -> Iterator[None]:
        """What the calls in the block are for."""
        before, self._purpose = self._purpose, purpose
        try:
            yield
        finally:
            self._purpose = before

    def enter(self, expected: int) -> None:
        """Pay for a call; waits where this minute has had its 600, raises CircuitOpen or BudgetSpent."""
        while (wait := self._admit(expected)) > 0:
            self._sleep(wait)

    def _admit(self, expected: int) -> float:
        """The seconds to wait; none when the call is paid."""
        with self._database.transaction() as session:
            now = self._clock.now(session)
            account = budget.current(lock_account(session, self._source, now), now)
            if account.open_until is not None and now < account.open_until:
                raise CircuitOpen
            account.allowance = self._allowance.credits
            kept = budget.reserve(self._allowance, self._purpose, now.date())
            if account.credits + expected > self._allowance.credits - kept:
                raise BudgetSpent
            if account.calls >= budget.CALLS_A_MINUTE:
                return 60.0 - now.second
            if account.open_until is not None:  # whoever comes while this one call tries is turned away
                account.open_until = now + budget.OPEN
            account.credits += expected
            account.calls += 1
            return 0.0

    def leave(self, *, expected: int, size: int, failed: bool) -> None:
        """Correct what was paid by the answer's size, and tell the breaker how it went."""
        with self._database.transaction() as session:
            now = self._clock.now(session)
            account = budget.current(lock_account(session, self._source, now), now)
            account.credits = max(0, account.credits + budget.cost(size) - expected)
            budget.settle(account, failed=failed, now=now)
