"""What can be done with requests: list, find, and write down what lapsed."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy.orm import Session

from services.entitlements.accounts.repository import AccountRepository
from services.entitlements.database import audit_events
from services.entitlements.notifications.events import announce
from services.entitlements.requests import policy
from services.entitlements.requests.entities import UNDECIDED, AccessRequest, RequestItem, RequestMessage
from services.entitlements.requests.errors import FrequencyNotOffered, RequestNotFound, UnknownDataset
from services.entitlements.requests.repository import RequestRepository
from services.entitlements.requests.schemas import (
    ItemOut,
    MessageOut,
    OpsItemOut,
    OpsMessageOut,
    OpsRequestOut,
    RequestOut,
    RequestsQuery,
)
from services.entitlements.requests.source import Offer
from shared import audit
from shared.clock import Clock
from shared.principal import Principal
from shared.wire import instant_text

TIME = Principal(role="service", name="entitlements")  # who lapses what nobody decided


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

    def _tell_lapsed(self, items: Sequence[RequestItem]) -> None:
        """One record and one message for the items of a request; a grace never outlasts them, so none is to be cut."""
        first, frequencies = items[0], sorted(item.frequency for item in items)
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
                described.append(_ops_request(fields, own, thread, now, account_name=name, to=caller))
            else:
                described.append(_request(fields, own, thread, now))
        return described


def check_offered(offer: Offer | None, frequencies: Sequence[str]) -> None:
    """Raises UnknownDataset or FrequencyNotOffered for what the catalog does not offer."""
    if offer is None:
        raise UnknownDataset
    if not set(frequencies) <= set(offer.frequencies):
        raise FrequencyNotOffered(offered=offer.frequencies)


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
    to: Principal,
) -> RequestOut:
    shown = [OpsItemOut.model_validate({**_item_fields(item, now), "note": note_for(to, item)}) for item in items]
    said = [OpsMessageOut.model_validate(message) for message in thread]
    return OpsRequestOut(**fields, items=shown, thread=said, account_name=account_name)


def note_for(reader: Principal, item: RequestItem) -> str | None:
    """What Ops noted about an item: not for whom it is about, though they be Ops themselves."""
    return None if item.account == reader.account else item.note


def _item_fields(item: RequestItem, now: datetime) -> dict[str, object]:
    status = policy.item_status(item, now)
    lapsed_at = item.lapse_at if status == "lapsed" else None
    decided_at = item.decided_at or lapsed_at
    said = {**item.model_dump(), "status": status, "decided_at": decided_at, "grant": item.grant_id}
    if item.trace is None or status not in UNDECIDED:
        return said
    return {**said, "reason": item.trace["reason"], "reason_code": item.trace["reason_code"]}  # why Ops decides
