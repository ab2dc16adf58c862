"""Answers who may read what, and says to those who may not what they can do."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy.orm import Session

from services.entitlements.access.policy import Access, State, access_of, blocked_of, changes, running
from services.entitlements.access.schemas import AccessOut, AccessQuery, Refusal, StampOut
from services.entitlements.accounts.repository import AccountRepository
from services.entitlements.grants.entities import Grant
from services.entitlements.grants.policy import status_of, until
from services.entitlements.grants.repository import GrantRepository
from services.entitlements.intake.policy import STATUS
from services.entitlements.requests.entities import UNDECIDED, RequestItem
from services.entitlements.requests.policy import MAX_OPEN
from services.entitlements.requests.repository import SHORTEST_FIRST, RequestRepository
from services.entitlements.rules.service import RuleService
from shared.clock import Clock
from shared.wire import instant_text

DETAILS = {
    "never-requested": "You have not asked for this yet; POST /v1/access-requests asks for it.",
    "pending": "Your request is still to be decided; you will be told.",
    "needs-info": "Ops asked you something about your request; answer it.",
    "refused": "Your request was refused; `reason` says why, `reapply_after` when you may ask again.",
    "lapsed": "Nobody decided your request in time, so it lapsed; ask again.",
    "scheduled": "Your access begins later; `starts_at` says when.",
    "ended": "Your access ended; ask for it anew.",
    "trial-ended": "Your trial ended; ask for standard access.",
    "revoked": "Your access was revoked; `reason` says why. You may ask again.",
    "blocked": "Your account is blocked; `reason` says why. Ask the vendor.",
    "relinquished": "You gave this access back; ask again if you need it.",
}
NOT_BEFORE = "A refusal before that still counts: not before `reapply_after`."
FOREVER = datetime.max.replace(tzinfo=UTC)
ON_ITS_WAY = (*UNDECIDED, "scheduled")


@dataclass(frozen=True)
class Asking:
    """A request that helps."""

    frequency: str
    trial: bool


class AccessService:
    """Reads what stands about a cell, in the caller's transaction."""

    def __init__(self, session: Session, clock: Clock) -> None:
        self._session = session
        self._clock = clock
        self._accounts = AccountRepository(session)
        self._grants = GrantRepository(session)
        self._requests = RequestRepository(session)
        self._rules = RuleService(session, clock)

    def may(self, query: AccessQuery) -> AccessOut:
        """Whether the account may read the cell at this instant of the database's clock."""
        standing, account, stamp = self._grants.unclosed_stamped(query.account, query.dataset)
        now = self._clock.now(self._session)  # taken first, it could be before a renewal that the statement sees
        active = [grant for grant in _as_offered(standing, query, now) if status_of(grant, now) == "active"]
        # only who has no grant there was not read with them
        blocked = blocked_of(account if standing else self._accounts.find(query.account), now)
        if blocked is not None:
            return _answer(blocked, query, active, now)
        wanted = [grant for grant in active if query.frequency in (None, grant.frequency)]
        if wanted and stamp is not None:  # a yes, whole out of one statement
            lasting = max(wanted, key=lambda grant: until(grant, now) or FOREVER)
            yes = _answer(running(lasting, now), query, active, now)
            return yes.model_copy(update={"stamp": StampOut.model_validate(stamp)})
        cells = (query.account, query.dataset, [query.frequency] if query.frequency else SHORTEST_FIRST)
        items = [*self._requests.undecided(*cells), *self._requests.latest(*cells)]
        grants = _as_offered(self._grants.latest(*cells), query, now)
        access = access_of(grants, items, now)
        to_ask = self._helpful(access.state, query, _askable(access, query, grants, items, now), now)
        return _answer(access, query, active, now, to_ask=to_ask)

    def _helpful(self, told: State, query: AccessQuery, askable: Sequence[str], now: datetime) -> Asking | None:
        """The first of these frequencies for which asking changes what is told, as the rules would answer now.

        For a trial only where nothing else does.
        """
        if not askable:
            return None
        account = self._accounts.find(query.account)
        role, cells = account.role if account else "quant", [(query.dataset, frequency) for frequency in askable]
        full = self._requests.count_undecided(query.account, now) >= MAX_OPEN
        for trial in (False, True):
            traces = self._rules.predict(query.account, cells, role=role, trial=trial)
            for cell in cells:
                outcome = STATUS[traces[cell].outcome]
                if changes(told, outcome, full=full) and not (trial and outcome == "refused"):
                    return Asking(cell[1], trial=trial)
        return None


def _as_offered(grants: Sequence[Grant], query: AccessQuery, now: datetime) -> Sequence[Grant]:
    """The grants on a dataset as they are once its retirements, which who asks has heard of, are followed here."""
    if query.frequency:
        return grants
    offered = set(query.offered)
    return [
        grant if grant.frequency in offered else Grant(**{**grant.model_dump(), "retires_at": now}) for grant in grants
    ]


def _askable(
    access: Access, query: AccessQuery, grants: Sequence[Grant], items: Sequence[RequestItem], now: datetime
) -> list[str]:
    """What can be asked for now: the cell that the access is about, then others that are offered."""
    if access.state in ON_ITS_WAY:
        return []
    offered = [query.frequency] if query.frequency else query.offered
    found: list[str] = []
    for frequency in sorted(offered, key=lambda offer: offer != access.frequency):
        given = [grant for grant in grants if grant.frequency == frequency]
        cell = access_of(given, [item for item in items if item.frequency == frequency], now)
        if cell.state not in ON_ITS_WAY and (cell.reapply_after is None or cell.reapply_after <= now):
            found.append(frequency)
    return found


def _answer(
    access: Access, query: AccessQuery, active: Sequence[Grant], now: datetime, *, to_ask: Asking | None = None
) -> AccessOut:
    return AccessOut(
        allowed=access.allowed,
        state=access.state,
        grant=access.grant,
        until=access.until,
        grace_until=access.grace_until,
        refusal=None if access.allowed else _refusal(access, query, active, now, to_ask),
    )


def _refusal(
    access: Access, query: AccessQuery, active: Sequence[Grant], now: datetime, to_ask: Asking | None
) -> Refusal:
    members: dict[str, Any] = {
        "dataset": query.dataset,
        "frequency": query.frequency,
        "granted_frequencies": sorted(grant.frequency for grant in active),
        "request": str(access.request) if access.request else None,
        "reason": access.reason,
        "starts_at": instant_text(access.starts_at),
        "ended_at": instant_text(access.ended_at),
        "reapply_after": instant_text(access.reapply_after),
        "remedy": _remedy(access, query, to_ask),
    }
    return Refusal(code=access.state, detail=_detail(access, now), members=members)


def _detail(access: Access, now: datetime) -> str:
    """The state in words; one that calls for asking anew says until when a refusal stands in the way of that."""
    told = access.reapply_after is None or access.reapply_after <= now or access.state in ("refused", "blocked")
    return DETAILS[access.state] if told else f"{DETAILS[access.state]} {NOT_BEFORE}"


def _remedy(access: Access, query: AccessQuery, to_ask: Asking | None) -> dict[str, Any] | None:
    """The call that changes the state, ready to be sent; None where only waiting, or somebody else, helps."""
    if access.state == "needs-info":
        return {"method": "POST", "href": f"/v1/access-requests/{access.request}/answer", "body": {"text": ""}}
    if to_ask is None:
        return None
    body = {"dataset": query.dataset, "frequencies": [to_ask.frequency], **({"trial": True} if to_ask.trial else {})}
    return {"method": "POST", "href": "/v1/access-requests", "body": body}
