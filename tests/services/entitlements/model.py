"""What ought to be true of one account's cells, in plain Python: the machine compares the services with it.

An act answers with the code of its refusal, or with None. To add a step: a method here, a rule of the machine there.
"""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from tests.services.entitlements.fakes import DAY, T0

OPEN = ("pending", "needs-info")
LAPSES_AFTER, REAPPLY_AFTER = 14 * DAY, DAY


@dataclass
class Item:
    """One frequency of a request."""

    frequency: str
    asked_at: datetime
    status: str = "pending"
    decided_at: datetime | None = None
    by_rule: bool = False

    def at(self, now: datetime) -> tuple[str, datetime]:
        """Its status and since when."""
        lapses = self.asked_at + LAPSES_AFTER
        if self.status in OPEN and now >= lapses:
            return "lapsed", lapses
        return self.status, self.decided_at or now


@dataclass
class Held:
    """A grant of a cell."""

    trial: bool
    given_at: datetime
    starts_at: datetime
    ends_at: datetime | None
    grace: timedelta = timedelta(0)
    closed: tuple[str, datetime] | None = None
    revokes_at: datetime | None = None
    retires_at: datetime | None = None
    grace_until: datetime | None = None

    def at(self, now: datetime) -> tuple[str, datetime]:
        """Its status and since when."""
        if self.closed is not None:
            return self.closed
        ends = [
            (self.revokes_at, "revoked"),
            (self.retires_at, "retired"),
            (self.grace_until or self.ends_at, "ended"),
        ]
        over = [(at, how) for at, how in ends if at is not None and now >= at]
        if over:
            return min(over, key=lambda end: end[0])[::-1]
        return ("scheduled", self.given_at) if now < self.starts_at else ("active", self.starts_at)

    def kept(self, now: datetime) -> datetime | None:
        """Up to when only a grace keeps it going."""
        return self.grace_until if self.ends_at is not None and now >= self.ends_at else None

    def until(self, now: datetime) -> datetime | None:
        """Up to when it gives access, as things stand."""
        ends = (self.kept(now) or self.ends_at, self.revokes_at, self.retires_at)
        return min((at for at in ends if at is not None), default=None)

    def begin_grace(self, now: datetime) -> None:
        """A renewal was asked for: once, in time, and up to its lapse at most."""
        if self.grace and self.ends_at is not None and self.grace_until is None and now < self.ends_at:
            self.grace_until = max(self.ends_at, min(self.ends_at + self.grace, now + LAPSES_AFTER))

    def end_grace(self, now: datetime) -> None:
        """The renewal came to nothing."""
        if self.ends_at is not None and self.grace_until is not None:
            self.grace_until = min(self.grace_until, max(self.ends_at, now))

    def may_be_renewed(self, now: datetime) -> bool:
        """A trial at any time; else in the last fifth of the term, at least a day of it and at most 14."""
        if self.trial or self.ends_at is None:
            return self.trial
        window = min(max((self.ends_at - self.starts_at) / 5, DAY), 14 * DAY)
        return now >= max(self.starts_at, self.ends_at - window)


@dataclass
class Model:
    """The requests, the grants of each cell, the time, since when the account is blocked, up to when, or closed."""

    now: datetime = T0
    requests: list[list[Item]] = field(default_factory=list)
    grants: dict[str, list[Held]] = field(default_factory=lambda: {"1h": [], "1d": []})
    block: tuple[datetime, datetime | None] | None = None
    closed: bool = False

    @property
    def blocked(self) -> bool:
        """Whether the account is closed, or blocked; a block with an end is over by itself."""
        return self.closed or (self.block is not None and (self.block[1] is None or self.now < self.block[1]))

    def rule(self, block: tuple[datetime, datetime | None] | None) -> str | None:
        """Block the account, or unblock it."""
        if self.closed:
            return "account-closed"
        self.block = block
        return None

    def close(self) -> None:
        """Close the account: everything of it is over, for good."""
        self.closed = True
        for frequency in self.grants:
            if (held := self.held(frequency)) is not None:
                held.closed = "revoked", self.now
        for request in range(len(self.requests)):
            self.move(request, OPEN, "withdrawn", "")

    def status(self, request: int) -> dict[str, str]:
        """The items of a request."""
        return {item.frequency: item.at(self.now)[0] for item in self.requests[request]}

    def held(self, frequency: str) -> Held | None:
        """What stands unclosed in a cell and is not over."""
        last = self.grants[frequency][-1:]
        return last[0] if last and last[0].at(self.now)[0] in ("active", "scheduled") else None

    def state(self, frequency: str) -> str:
        """What a read is told: a running grant allows, else an undecided item, else the latest fact."""
        if self.blocked:
            return "blocked"
        last = [grant for grant in self.grants[frequency] if grant.at(self.now)[0] != "superseded"][-1:]
        items = [item for request in self.requests for item in request if item.frequency == frequency]
        facts = [(*grant.at(self.now)[::-1], grant.trial) for grant in last]
        facts += [(*item.at(self.now)[::-1], False) for item in items[-1:] if item.status != "approved"]
        for states in (("active",), OPEN):
            for _, status, _ in facts:
                if status in states:
                    return status
        if not facts:
            return "never-requested"
        _, status, trial = max(facts, key=lambda fact: fact[0])  # a grace is over as its renewal is refused
        ended = "trial-ended" if trial else "ended"
        return {"withdrawn": "never-requested", "ended": ended, "retired": "ended"}.get(status, status)

    def pending(self, frequency: str) -> bool:
        """Whether a cell has an undecided item."""
        return any(r.frequency == frequency and r.at(self.now)[0] in OPEN for q in self.requests for r in q)

    def ask(self, frequencies: list[str], *, trial: bool = False) -> str | None:
        """Ask for what is not pending, nor held but for what may be renewed, which a trial never does."""
        unasked = [f for f in frequencies if not self.pending(f)]
        new = [f for f in unasked if (held := self.held(f)) is None or (not trial and held.may_be_renewed(self.now))]
        if any(self._cools(f) for f in new):
            return "cooldown"
        self.requests += [[self._asked(f, trial=trial) for f in new]] if new else []
        return None if new else "nothing-to-request"

    def _asked(self, frequency: str, *, trial: bool) -> Item:
        """Rules refuse who is blocked and a second trial, and give a first one of days; the rest waits for Ops."""
        if self.blocked or (trial and any(grant.trial for grant in self.grants[frequency])):
            return Item(frequency, self.now, "refused", self.now, by_rule=True)
        if trial and frequency == "1d":
            self.give(frequency, days=14, trial=True, renews=True)
            return Item(frequency, self.now, "approved", self.now, by_rule=True)
        if (held := self.held(frequency)) is not None:
            held.begin_grace(self.now)
        return Item(frequency, self.now)

    def _cools(self, frequency: str) -> bool:
        last = [item for request in self.requests for item in request if item.frequency == frequency][-1:]
        given = [grant.given_at for grant in self.grants[frequency] if grant.at(self.now)[0] != "superseded"][-1:]
        refused = [
            item.decided_at for item in last if item.status == "refused" and item.decided_at and not item.by_rule
        ]
        return any(at + REAPPLY_AFTER > self.now and not any(g >= at for g in given) for at in refused)

    def undecided(self, request: int, frequencies: list[str] | None = None) -> list[Item] | None:
        """The open items that are named, else all; None where a named one is not open."""
        named = [item for item in self.requests[request] if frequencies is None or item.frequency in frequencies]
        open_ = [item for item in named if item.at(self.now)[0] in OPEN]
        return None if frequencies is not None and len(open_) < len(named) else open_

    def approve(self, request: int, frequency: str, **terms: Any) -> str | None:
        """Approve an open item, on such terms as something is given."""
        open_ = self.undecided(request, [frequency])
        if not open_:
            return "already-decided"
        if refusal := self.give(frequency, **terms, renews=True):
            return refusal
        open_[0].status, open_[0].decided_at = "approved", self.now
        return None

    def refuse(self, request: int, frequency: str) -> str | None:
        """Refuse an open item."""
        open_ = self.undecided(request, [frequency])
        for item in open_ or []:
            self._drop(item, "refused")
        return None if open_ else "already-decided"

    def _drop(self, item: Item, status: str) -> None:
        """An open item comes to nothing, and so does the grace that it was."""
        item.status, item.decided_at = status, self.now
        if (held := self.held(item.frequency)) is not None:
            held.end_grace(self.now)

    def give(
        self, frequency: str, *, days: int, trial: bool, wait: int = 0, grace: int = 0, renews: bool = False
    ) -> str | None:
        """Put a grant into a cell, closing what stands there."""
        if trial and grace:
            return "invalid-input"
        if self.blocked:
            return "account-blocked"
        new = Held(trial, self.now, self.now + wait * DAY, self.now + (wait + days) * DAY, grace * DAY)
        old = self.held(frequency)
        if old is not None and self._in_the_way(old, new):
            return "cell-held"
        if old is not None:
            if renews and old.at(self.now)[0] == "active":
                new.ends_at = max(new.ends_at or T0, old.ends_at or T0)
            new.revokes_at, new.retires_at = old.revokes_at, old.retires_at
            old.closed = "superseded", self.now
        elif self.grants[frequency]:
            last = self.grants[frequency][-1]
            last.closed = last.at(self.now)
        self.grants[frequency].append(new)
        for item in [] if renews else [i for q in self.requests for i in q if i.frequency == frequency]:
            if item.at(self.now)[0] in OPEN:
                item.status, item.decided_at = "approved", self.now
        return None

    def _ends_before(self, old: Held, start: datetime) -> bool:
        return any(at is not None and at <= start for at in (old.revokes_at, old.retires_at))

    def _in_the_way(self, old: Held, new: Held) -> bool:
        """Nothing begins later than what ends it, or after what runs, and no trial follows what is standard."""
        if self._ends_before(old, new.starts_at):
            return True
        return old.at(self.now)[0] == "active" and (new.starts_at > self.now or (new.trial and not old.trial))

    def end(self, grant: Held, how: str) -> str | None:
        """End a grant at once; again changes nothing."""
        status = grant.at(self.now)[0]
        if status in ("active", "scheduled"):
            grant.closed = how, self.now
        return None if status in ("active", "scheduled", how) else "grant-closed"

    def schedule(self, grant: Held, at: datetime | None) -> str | None:
        """Have a grant revoked later, or not any more."""
        status = grant.at(self.now)[0]
        if status in ("active", "scheduled"):
            grant.revokes_at = at
        return None if status in ("active", "scheduled") or (at and status == "revoked") else "grant-closed"

    def extend(self, frequency: str, grant: Held, days: int) -> str | None:
        """Put one that ends later in the place of an open grant."""
        if grant.at(self.now)[0] not in ("active", "scheduled"):
            return "grant-closed"
        if self.blocked:
            return "account-blocked"
        starts_at = max(grant.starts_at, self.now)
        if self._ends_before(grant, starts_at):
            return "cell-held"
        ends_at = None if grant.ends_at is None else max(grant.ends_at, starts_at + days * DAY)
        grant.closed = "superseded", self.now
        new = Held(grant.trial, self.now, starts_at, ends_at, grant.grace, retires_at=grant.retires_at)
        new.revokes_at = grant.revokes_at
        self.grants[frequency].append(new)
        return None

    def retire(self, retired: dict[str, datetime]) -> None:
        """What is retired ends then, what else was to be goes on; what is asked for of it is refused."""
        for frequency in self.grants:
            at = retired.get(frequency)
            if (held := self.held(frequency)) is not None:
                held.retires_at = at
            if at is not None and at <= self.now:
                for item in [i for q in self.requests for i in q if i.frequency == frequency]:
                    if item.at(self.now)[0] in OPEN:
                        item.status, item.decided_at, item.by_rule = "refused", self.now, True

    def move(self, request: int, start: tuple[str, ...], end: str, refusal: str) -> str | None:
        """Have the items in these states go on to another, at once."""
        items = [item for item in self.requests[request] if item.at(self.now)[0] in start]
        for item in items:
            if end in OPEN:
                item.status = end
            else:
                self._drop(item, end)
        return None if items else refusal
