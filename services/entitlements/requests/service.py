"""What can be done with requests: list, find."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from sqlalchemy.orm import Session

from services.entitlements.accounts.repository import AccountRepository
from services.entitlements.requests import policy
from services.entitlements.requests.entities import UNDECIDED, AccessRequest, RequestItem
from services.entitlements.requests.errors import FrequencyNotOffered, RequestNotFound, UnknownDataset
from services.entitlements.requests.repository import RequestRepository
from services.entitlements.requests.schemas import (
    ItemOut,
    OpsItemOut,
    OpsRequestOut,
    RequestOut,
    RequestsQuery,
)
from services.entitlements.requests.source import Offer
from shared.clock import Clock
from shared.principal import Principal


class RequestService:
    """The requests' use cases, in the caller's transaction."""

    def __init__(self, session: Session, clock: Clock) -> None:
        self._session = session
        self._clock = clock
        self._requests = RequestRepository(session)
        self._accounts = AccountRepository(session)

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
    said = {**item.model_dump(), "status": status, "decided_at": decided_at, "grant": item.grant_id}
    if item.trace is None or status not in UNDECIDED:
        return said
    return {**said, "reason": item.trace["reason"], "reason_code": item.trace["reason_code"]}  # why Ops decides
