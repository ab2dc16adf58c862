"""What can be done with requests: ask, list, find, and write down what lapsed."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy.orm import Session

from services.entitlements.accounts.repository import AccountRepository
from services.entitlements.database import audit_events
from services.entitlements.grants.entities import Grant
from services.entitlements.grants.policy import status_of
from services.entitlements.grants.repository import GrantRepository
from services.entitlements.notifications.events import OPS, announce
from services.entitlements.requests import policy
from services.entitlements.requests.entities import AccessRequest, RequestItem, RequestMessage
from services.entitlements.requests.errors import (
    Cooldown,
    FrequencyNotOffered,
    NothingToRequest,
    RequestNotFound,
    TooManyOpen,
    UnknownDataset,
)
from services.entitlements.requests.repository import RequestRepository
from services.entitlements.requests.schemas import (
    ItemOut,
    MessageOut,
    NewRequest,
    OpsItemOut,
    OpsMessageOut,
    OpsRequestOut,
    RequestOut,
    RequestsQuery,
    Skipped,
)
from services.entitlements.requests.source import Offer
from shared import audit
from shared.clock import Clock
from shared.ids import new_id
from shared.principal import Principal
from shared.wire import instant_text

TIME = Principal(role="service", name="entitlements")  # who lapses what nobody decided


class RequestService:
    """The requests' use cases, in the caller's transaction."""

    def __init__(self, session: Session, clock: Clock) -> None:
        self._session = session
        self._clock = clock
        self._requests = RequestRepository(session)
        self._grants = GrantRepository(session)
        self._accounts = AccountRepository(session)

    def create(self, new: NewRequest, offer: Offer | None, caller: Principal) -> RequestOut:
        """Ask for the frequencies that are neither held nor pending; raises why nothing, or not all, can be asked."""
        check_offered(offer, new.frequencies)
        account = caller.account_id
        self._accounts.meet(account, name=caller.name, role=caller.role)
        # a decision under way on one of the cells is waited for: what it gives is held, not to be asked again
        asked = self._requests.lock_undecided(account, new.dataset, new.frequencies)
        now = self._clock.now(self._session)
        self.write_lapsed(asked, now)
        held = [_held(g) for g in self._running(account, new, now)]
        wanted: list[str] = [f for f in new.frequencies if f not in {skipped.frequency for skipped in held}]
        self._check_may_ask(account, new.dataset, wanted, now)
        request, items = _new_request(account, new, wanted, now)
        written = self._requests.add(request, items) if items else set()
        skipped = held + self._pending(request, set(wanted) - written)
        if not written:
            raise NothingToRequest(skipped=[s.model_dump(mode="json", exclude_none=True) for s in skipped])
        self._tell_ops(request, [f for f in wanted if f in written], caller)
        answer = self._describe([request], caller, now)[0]
        return answer.model_copy(update={"skipped": skipped})

    def find(self, request: UUID, caller: Principal) -> RequestOut:
        """One request; raises RequestNotFound, also for another account's unless the caller is Ops."""
        found = self._requests.find(request)
        if found is None or not (caller.is_ops or found.account == caller.account):
            raise RequestNotFound
        return self._describe([found], caller, self._clock.now(self._session))[0]

    def page(self, query: RequestsQuery, caller: Principal, *, after: UUID | None, limit: int) -> list[RequestOut]:
        """Requests, oldest first: all of them for Ops, else the caller's own."""
        own = None if caller.is_ops else caller.account_id
        now = self._clock.now(self._session)
        found = self._requests.page(query, now=now, account=own, after=after, limit=limit)
        return self._describe(found, caller, now)

    def write_due_lapses(self, now: datetime, limit: int) -> int:
        """Write down, record and tell what lapsed by `now` and nobody came upon yet; how many items that was.

        Any number of processes may do this at once, and as late as they like: each item is announced once.
        """
        return self.write_lapsed(self._requests.lock_lapsed(now, limit=limit), now)

    def write_lapsed(self, items: Iterable[RequestItem], now: datetime) -> int:
        """The same for those of these items, which are held, whose time is over."""
        over = [item for item in items if policy.item_status(item, now) == "lapsed" and self._requests.lapse(item)]
        for request in dict.fromkeys(item.request_id for item in over):
            self._tell_lapsed([item for item in over if item.request_id == request])
        return len(over)

    def _running(self, account: UUID, new: NewRequest, now: datetime) -> list[Grant]:
        unclosed = self._grants.unclosed(account, new.dataset)
        return [g for g in unclosed if g.frequency in new.frequencies and status_of(g, now) != "ended"]

    def _check_may_ask(self, account: UUID, dataset: str, frequencies: Sequence[str], now: datetime) -> None:
        new = len(frequencies) - len(self._requests.undecided(account, dataset, frequencies))
        if new and self._requests.count_undecided(account, now) + new > policy.MAX_OPEN:
            raise TooManyOpen(limit=policy.MAX_OPEN)
        granted_at = {g.frequency: g.created_at for g in self._grants.latest(account, dataset, frequencies)}
        for item in self._requests.latest(account, dataset, frequencies):
            later = policy.reapply_after(item, granted_at.get(item.frequency))
            if later is not None and later > now:
                raise Cooldown(frequency=item.frequency, reapply_after=instant_text(later))

    def _pending(self, request: AccessRequest, frequencies: set[str]) -> list[Skipped]:
        items = self._requests.undecided(request.account, request.dataset, frequencies)
        return [Skipped(frequency=i.frequency, why="already-pending", request=i.request_id) for i in items]

    def _tell_ops(self, request: AccessRequest, frequencies: list[str], caller: Principal) -> None:
        data = {"dataset": request.dataset, "frequencies": frequencies, "trial": request.trial}
        audit.record(
            self._session, audit_events, actor=caller, action="access.requested", subject=request.id, data=data
        )
        told = {**data, "request": str(request.id), "account": str(request.account), "account_name": caller.name}
        announce(self._session, "access.requested", to=OPS, data=told)

    def _tell_lapsed(self, items: Sequence[RequestItem]) -> None:
        """One record and one message for the items of a request."""
        first, frequencies = items[0], sorted(item.frequency for item in items)
        for frequency in frequencies:
            self._grants.end_grace(first.account, first.dataset, frequency)
        data = {"dataset": first.dataset, "frequencies": frequencies}
        audit.record(
            self._session, audit_events, actor=TIME, action="access.lapsed", subject=first.request_id, data=data
        )
        told = {**data, "request": str(first.request_id), "lapsed_at": instant_text(first.lapse_at)}
        announce(self._session, "access.lapsed", to=first.account, data=told)

    def _describe(self, requests: Sequence[AccessRequest], caller: Principal, now: datetime) -> list[RequestOut]:
        items = self._requests.items(request.id for request in requests)
        said = self._requests.threads(request.id for request in requests)
        names = self._accounts.find_all(r.account for r in requests) if caller.is_ops else {}
        described = []
        for request in requests:
            own = [item for item in items if item.request_id == request.id]
            thread = [message for message in said if message.request_id == request.id]
            fields = _fields(request, own, now)
            if caller.is_ops:
                name = names[request.account].name if request.account in names else None
                described.append(_ops_request(fields, own, thread, now, account_name=name))
            else:
                described.append(_request(fields, own, thread, now))
        return described


def check_offered(offer: Offer | None, frequencies: Sequence[str]) -> None:
    """Raises UnknownDataset or FrequencyNotOffered for what the catalog does not offer."""
    if offer is None:
        raise UnknownDataset
    if not set(frequencies) <= set(offer.frequencies):
        raise FrequencyNotOffered(offered=offer.frequencies)


def _new_request(
    account: UUID, new: NewRequest, frequencies: Sequence[str], now: datetime
) -> tuple[AccessRequest, list[RequestItem]]:
    request = AccessRequest(
        id=new_id(),
        account=account,
        dataset=new.dataset,
        reason=new.reason,
        trial=new.trial,
        duration_days=new.duration_days,
        created_at=now,
        lapse_at=now + policy.LAPSES_AFTER,
    )
    cell: dict[str, Any] = {
        "request_id": request.id,
        "account": account,
        "dataset": new.dataset,
        "lapse_at": request.lapse_at,
    }
    return request, [RequestItem(id=new_id(), frequency=f, **cell) for f in frequencies]


def _held(grant: Grant) -> Skipped:
    return Skipped(frequency=grant.frequency, why="already-granted", grant=grant.id, ends_at=grant.ends_at)


def _fields(request: AccessRequest, items: Sequence[RequestItem], now: datetime) -> dict[str, object]:
    derived = {"status": policy.request_status(items, now), "awaiting": policy.awaiting(items, now)}
    return {**request.model_dump(), **derived}


def _request(
    fields: dict[str, Any], items: Sequence[RequestItem], thread: Sequence[RequestMessage], now: datetime
) -> RequestOut:
    shown = [ItemOut.model_validate(_item_fields(item, now)) for item in items]
    return RequestOut(**fields, items=shown, thread=[MessageOut.model_validate(message) for message in thread])


def _ops_request(
    fields: dict[str, Any],
    items: Sequence[RequestItem],
    thread: Sequence[RequestMessage],
    now: datetime,
    *,
    account_name: str | None,
) -> RequestOut:
    shown = [OpsItemOut.model_validate(_item_fields(item, now)) for item in items]
    said = [OpsMessageOut.model_validate(message) for message in thread]
    return OpsRequestOut(**fields, items=shown, thread=said, account_name=account_name)


def _item_fields(item: RequestItem, now: datetime) -> dict[str, object]:
    status = policy.item_status(item, now)
    lapsed_at = item.lapse_at if status == "lapsed" else None
    decided_at = item.decided_at or lapsed_at
    return {**item.model_dump(), "status": status, "decided_at": decided_at, "grant": item.grant_id}
