"""Takes undecided items back."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from sqlalchemy.orm import Session

from services.entitlements.accounts.repository import AccountRepository
from services.entitlements.database import audit_events
from services.entitlements.grants.repository import GrantRepository
from services.entitlements.notifications.events import OPS, announce
from services.entitlements.requests.entities import RequestItem
from services.entitlements.requests.errors import RequestNotFound
from services.entitlements.requests.policy import fates, undecided_of
from services.entitlements.requests.repository import SHORTEST_FIRST, RequestRepository
from services.entitlements.withdrawals.errors import NothingToWithdraw
from services.entitlements.withdrawals.schemas import Withdrawal
from shared import audit
from shared.clock import Clock
from shared.principal import Principal


class WithdrawalService:
    """Withdrawals by the request's owner, in the caller's transaction."""

    def __init__(self, session: Session, clock: Clock) -> None:
        self._session = session
        self._clock = clock
        self._accounts = AccountRepository(session)
        self._requests = RequestRepository(session)
        self._cells = GrantRepository(session)

    def withdraw(self, request_id: UUID, what: Withdrawal, by: Principal) -> None:
        """Take back the undecided items that are named, else all there are; raises why none, or not all, can be.

        RequestNotFound for another's request, whatever the role.
        """
        request = self._requests.find(request_id)
        if request is None or request.account != by.account:
            raise RequestNotFound
        self._accounts.hold(request.account)
        items = self._requests.lock_items(request_id)
        self._cells.lock_cells(request.account, request.dataset, [item.frequency for item in items])
        now = self._clock.now(self._session)
        open_ = undecided_of(items, what.frequencies, now, by)
        if not open_:
            raise NothingToWithdraw(items=fates(items, now, by))
        self._close(open_, now)
        self.announce(open_, by, account_name=by.name)

    def _close(self, items: Sequence[RequestItem], now: datetime) -> None:
        for item in items:
            self._requests.decide(item.id, status="withdrawn", decided_at=now)
            self._cells.end_grace(item.account, item.dataset, item.frequency, now)

    def announce(self, items: Sequence[RequestItem], by: Principal, *, account_name: str) -> None:
        """Record that items of one request were withdrawn, by whomever, and tell Ops that there is less to decide."""
        request, dataset, account = items[0].request_id, items[0].dataset, items[0].account
        frequencies = sorted((item.frequency for item in items), key=SHORTEST_FIRST.index)
        data = {"dataset": dataset, "frequencies": frequencies}
        audit.record(self._session, audit_events, actor=by, action="access.withdrawn", subject=request, data=data)
        told = {**data, "request": str(request), "account": str(account), "account_name": account_name}
        announce(self._session, "access.withdrawn", to=OPS, data=told)
