"""What ought to be true of one account's cells, in plain Python: the machine compares the services with it.

An act answers with the code of its refusal, or with None. To add a step: a method here, a rule of the machine there.
"""

from dataclasses import dataclass, field
from datetime import datetime, timedelta

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
    closed: tuple[str, datetime] | None = None

    def at(self, now: datetime) -> tuple[str, datetime]:
        """Its status and since when."""
        if self.closed is not None:
            return self.closed
        if self.ends_at is not None and now >= self.ends_at:
            return "ended", self.ends_at
        return ("scheduled", self.given_at) if now < self.starts_at else ("active", self.starts_at)


@dataclass
class Model:
    """The requests, the grants of each cell, and the time."""

    now: datetime = T0
    requests: list[list[Item]] = field(default_factory=list)
    grants: dict[str, list[Held]] = field(default_factory=lambda: {"1h": [], "1d": []})

    def status(self, request: int) -> dict[str, str]:
        """The items of a request."""
        return {item.frequency: item.at(self.now)[0] for item in self.requests[request]}

    def held(self, frequency: str) -> Held | None:
        """What stands unclosed in a cell and is not over."""
        last = self.grants[frequency][-1:]
        return last[0] if last and last[0].at(self.now)[0] in ("active", "scheduled") else None

    def state(self, frequency: str) -> str:
        """What a read is told: a running grant allows, else an undecided item, else the latest fact."""
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
        _, status, trial = max(facts)
        return {"withdrawn": "never-requested", "ended": "trial-ended" if trial else "ended"}.get(status, status)

    def pending(self, frequency: str) -> bool:
        """Whether a cell has an undecided item."""
        return any(r.frequency == frequency and r.at(self.now)[0] in OPEN for q in self.requests for r in q)

    def ask(self, frequencies: list[str], *, anyway: bool = False) -> str | None:
        """Ask for what is neither held nor pending; `anyway` for a renewal."""
        wanted = [f for f in frequencies if anyway or not self.held(f)]
        if not anyway and any(self._cools(f) for f in wanted):
            return "cooldown"
        new = [f for f in wanted if not self.pending(f)]
        self.requests += [[Item(f, self.now) for f in new]] if new else []
        return None if new else "nothing-to-request"

    def _cools(self, frequency: str) -> bool:
        last = [item for request in self.requests for item in request if item.frequency == frequency][-1:]
        given = [grant.given_at for grant in self.grants[frequency] if grant.at(self.now)[0] != "superseded"][-1:]
        refused = [item.decided_at for item in last if item.status == "refused" and item.decided_at]
        return any(at + REAPPLY_AFTER > self.now and not any(g >= at for g in given) for at in refused)

    def undecided(self, request: int, frequencies: list[str] | None = None) -> list[Item] | None:
        """The open items that are named, else all; None where a named one is not open."""
        named = [item for item in self.requests[request] if frequencies is None or item.frequency in frequencies]
        open_ = [item for item in named if item.at(self.now)[0] in OPEN]
        return None if frequencies is not None and len(open_) < len(named) else open_

    def decide(self, request: int, frequency: str, *, days: int | None, trial: bool, wait: int = 0) -> str | None:
        """Approve for so many days from now or later, or refuse where `days` is None."""
        open_ = self.undecided(request, [frequency])
        if not open_:
            return "already-decided"
        if days is not None and (refusal := self.give(frequency, days=days, trial=trial, wait=wait, renews=True)):
            return refusal
        open_[0].status, open_[0].decided_at = ("refused" if days is None else "approved"), self.now
        return None

    def give(self, frequency: str, *, days: int, trial: bool, wait: int = 0, renews: bool = False) -> str | None:
        """Put a grant into a cell, closing what stands there."""
        new = Held(trial, self.now, self.now + wait * DAY, self.now + timedelta(days=wait + days))
        old = self.held(frequency)
        if old is not None and old.at(self.now)[0] == "active":
            if wait or (trial and not old.trial):
                return "cell-held"
            if renews:
                new.ends_at = max(new.ends_at or T0, old.ends_at or T0)
        if old is not None:
            old.closed = "superseded", self.now
        elif self.grants[frequency]:
            last = self.grants[frequency][-1]
            last.closed = last.at(self.now)
        self.grants[frequency].append(new)
        for item in [] if renews else [i for q in self.requests for i in q if i.frequency == frequency]:
            if item.at(self.now)[0] in OPEN:
                item.status, item.decided_at = "approved", self.now
        return None

    def revoke(self, grant: Held) -> str | None:
        """End a grant; again changes nothing."""
        status = grant.at(self.now)[0]
        if status in ("active", "scheduled"):
            grant.closed = "revoked", self.now
        return None if status in ("active", "scheduled", "revoked") else "grant-closed"

    def move(self, request: int, start: tuple[str, ...], end: str, refusal: str) -> str | None:
        """Have the items in these states go on to another, at once."""
        items = [item for item in self.requests[request] if item.at(self.now)[0] in start]
        for item in items:
            item.status, item.decided_at = end, (None if end in OPEN else self.now)
        return None if items else refusal
