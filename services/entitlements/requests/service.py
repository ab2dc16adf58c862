"""What can be done with requests: ask, list, find."""

from collections.abc import Sequence
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
from services.entitlements.requests.entities import AccessRequest, RequestItem
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
    NewRequest,
    OpsItemOut,
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
        self._requests.lock_undecided(account, new.dataset, new.frequencies)
        now = self._clock.now(self._session)
        self._requests.write_lapsed(account, new.dataset, new.frequencies, now)
        held = [_held(g) for g in self._running(account, new, now)]
        wanted: list[str] = [f for f in new.frequencies if f not in {skipped.frequency for skipped in held}]
        self._check_may_ask(account, new.dataset, wanted, now)
        request, items = _new_request(account, new, wanted, now)
        written = self._requests.add(request, items) if items else set()
        skipped = held + self._pending(request, set(wanted) - written)
        if not written:
            raise NothingToRequest(skipped=[s.model_dump(mode="json", exclude_none=True) for s in skipped])
        self._grants.begin_grace(account, new.dataset, written, lapse_at=request.lapse_at, now=now)
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
        found = self._requests.page(query, account=own, after=after, limit=limit)
        return self._describe(found, caller, self._clock.now(self._session))

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

    def _describe(self, requests: Sequence[AccessRequest], caller: Principal, now: datetime) -> list[RequestOut]:
        items = self._requests.items(request.id for request in requests)
        mine = [(r, [i for i in items if i.request_id == r.id]) for r in requests]
        if not caller.is_ops:
            return [RequestOut(**_fields(r, own, now), items=[_item(i, now) for i in own]) for r, own in mine]
        names = {id_: a.name for id_, a in self._accounts.find_all(r.account for r in requests).items()}
        return [
            OpsRequestOut(
                **_fields(r, own, now), items=[_ops_item(i, now) for i in own], account_name=names.get(r.account)
            )
            for r, own in mine
        ]


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


def _item(item: RequestItem, now: datetime) -> ItemOut:
    return ItemOut.model_validate(_item_fields(item, now))


def _ops_item(item: RequestItem, now: datetime) -> OpsItemOut:
    return OpsItemOut.model_validate(_item_fields(item, now))


def _item_fields(item: RequestItem, now: datetime) -> dict[str, object]:
    status = policy.item_status(item, now)
    lapsed_at = item.lapse_at if status == "lapsed" else None
    decided_at = item.decided_at or lapsed_at
    return {**item.model_dump(), "status": status, "decided_at": decided_at, "grant": item.grant_id}
