"""Changes an account's standing, and what follows from it."""

from datetime import datetime

from sqlalchemy.orm import Session

from services.entitlements.accounts.entities import Account
from services.entitlements.accounts.errors import AccountClosed
from services.entitlements.accounts.policy import Standing, standing_of
from services.entitlements.accounts.repository import AccountRepository
from services.entitlements.accounts.schemas import AccountOut
from services.entitlements.closings.service import ClosingService
from services.entitlements.database import audit_events
from services.entitlements.grants.errors import SelfDecision
from services.entitlements.grants.repository import GrantRepository
from services.entitlements.grants.schemas import Revocation
from services.entitlements.notifications.events import announce
from services.entitlements.requests.policy import is_undecided
from services.entitlements.requests.repository import RequestRepository
from services.entitlements.standing.schemas import Block, Ruling
from services.entitlements.webhooks.repository import WebhookRepository
from services.entitlements.withdrawals.service import WithdrawalService
from shared import audit
from shared.clock import Clock
from shared.errors import invalid
from shared.principal import Principal
from shared.wire import instant_text

CLOSED = "account-closed"
EVENTS: dict[Standing, str] = {"good": "account.unblocked", "blocked": "account.blocked", "closed": "account.closed"}


class StandingService:
    """Ops' rulings on accounts, in the caller's transaction."""

    def __init__(self, session: Session, clock: Clock) -> None:
        self._session = session
        self._clock = clock
        self._accounts = AccountRepository(session)
        self._grants = GrantRepository(session)
        self._requests = RequestRepository(session)
        self._closings = ClosingService(session, clock)
        self._withdrawals = WithdrawalService(session, clock)
        self._webhooks = WebhookRepository(session)

    def block(self, account: AccountOut, why: Block, by: Principal) -> AccountOut:
        """Stop reads, requests and approvals; raises SelfDecision, AccountClosed."""
        found, now = self._lock(account, by)
        if why.until is not None and why.until <= now:
            raise invalid("body", "/until", "an instant to come")
        if standing_of(found, now) == "closed":
            raise AccountClosed
        self._rule(found, "blocked", why, by, now, until=why.until)
        for grant in self._grants.lock_held(account.id):
            self._grants.raise_change(grant)
        self._grants.see_closed()  # a block that is repeated may be one that has not answered yet
        return account.model_copy(update={"standing": "blocked"})

    def unblock(self, account: AccountOut, why: Ruling, by: Principal) -> AccountOut:
        """Allow all again; nothing changes for one in good standing. Raises SelfDecision, AccountClosed."""
        found, now = self._lock(account, by)
        standing = standing_of(found, now)
        if standing == "closed":
            raise AccountClosed
        if standing == "blocked":
            self._rule(found, "good", why, by, now)
        return account.model_copy(update={"standing": "good"})

    def close(self, account: AccountOut, why: Ruling, by: Principal) -> AccountOut:
        """Withdraw, revoke and disable everything, for good; a repeat, new webhooks only. Raises SelfDecision."""
        found, now = self._lock(account, by)
        if standing_of(found, now) != "closed":
            self._rule(found, "closed", why, by, now)
            self._withdraw(found, by, now)
            self._revoke(found, why, by, now)
        self._webhooks.disable_all(found.id, at=now, reason="closed")  # a key may have made one since
        self._grants.see_closed()
        return account.model_copy(update={"standing": "closed"})

    def _lock(self, account: AccountOut, by: Principal) -> tuple[Account, datetime]:
        if account.id == by.account:
            raise SelfDecision
        self._accounts.meet(account.id, name=account.name, role=account.role)
        found = self._accounts.lock(account.id)
        return found, self._clock.now(self._session)

    def _rule(
        self,
        account: Account,
        standing: Standing,
        why: Ruling,
        by: Principal,
        now: datetime,
        *,
        until: datetime | None = None,
    ) -> None:
        account.standing_reason = None if standing == "good" else why.reason
        self._accounts.rule(account, standing, at=now, until=until)
        event = EVENTS[standing]
        data = {"until": instant_text(until)} if standing == "blocked" else {}
        audit.record(self._session, audit_events, actor=by, action=event, subject=account.id, data=data)
        announce(self._session, event, to=account.id, data={"reason": why.reason, **data})

    def _withdraw(self, account: Account, by: Principal, now: datetime) -> None:
        outcome = {"status": "withdrawn", "decided_by": by.account, "decided_at": now, "reason_code": CLOSED}
        open_ = [item for item in self._requests.lock_asked(account.id) if is_undecided(item, now)]
        for item in open_:
            self._requests.decide(item.id, **outcome)
        for request in dict.fromkeys(item.request_id for item in open_):
            own = [item for item in open_ if item.request_id == request]
            self._withdrawals.announce(own, by, account_name=account.name)

    def _revoke(self, account: Account, why: Ruling, by: Principal, now: datetime) -> None:
        for grant in self._grants.lock_held(account.id):
            if not self._grants.write_end(grant, now):
                self._closings.end(grant, CLOSED, Revocation(reason=why.reason, reason_code=CLOSED), by, now)
