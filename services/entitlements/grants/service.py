"""What can be done with grants: give, list, find, revoke."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from sqlalchemy.orm import Session

from services.entitlements.accounts.repository import AccountRepository
from services.entitlements.database import audit_events
from services.entitlements.grants.entities import Grant
from services.entitlements.grants.errors import CellHeld, GrantClosed, GrantNotFound
from services.entitlements.grants.policy import Term, shortens, status_of
from services.entitlements.grants.repository import GrantRepository
from services.entitlements.grants.schemas import GrantOut, GrantsQuery, OpsGrantOut, Revocation, as_json
from services.entitlements.notifications.events import announce
from shared import audit
from shared.clock import Clock
from shared.ids import new_id
from shared.principal import Principal
from shared.wire import instant_text


class GrantService:
    """The grants' use cases, in the caller's transaction."""

    def __init__(self, session: Session, clock: Clock) -> None:
        self._session = session
        self._clock = clock
        self._grants = GrantRepository(session)
        self._accounts = AccountRepository(session)

    def give(self, grant: Grant, now: datetime) -> Grant:
        """Write a new grant and close what stands in its cell; raises CellHeld if both cannot be."""
        standing = self._grants.lock_unclosed(grant.account, grant.dataset, grant.frequency)
        if standing is not None:
            self._make_way(standing, grant, now)
        if not self._grants.add(grant):
            raise CellHeld
        return grant

    def _make_way(self, standing: Grant, grant: Grant, now: datetime) -> None:
        """Close the cell's unclosed grant: as ended where its time is over, else as superseded by the new one."""
        if standing.ends_at is not None and standing.ends_at <= now:
            standing.closed_at, standing.close_reason = standing.ends_at, "ended"
        elif grant.starts_at > now:
            raise CellHeld(grant=str(standing.id))
        else:
            standing.closed_at, standing.close_reason = now, "superseded"
            grant.supersedes = standing.id
            if shortens(standing.ends_at, grant.ends_at):
                self._grants.raise_change(grant)
        self._grants.flush()

    def find(self, grant: UUID, caller: Principal) -> GrantOut:
        """One grant; raises GrantNotFound, also for another account's unless the caller is Ops."""
        found = self._grants.find(grant)
        if found is None or not (caller.is_ops or found.account == caller.account):
            raise GrantNotFound
        return self.describe([found], caller)[0]

    def page(self, query: GrantsQuery, caller: Principal, *, after: UUID | None, limit: int) -> list[GrantOut]:
        """Grants, oldest first: all of them for Ops, else the caller's own."""
        own = None if caller.is_ops else caller.account_id
        return self.describe(self._grants.page(query, account=own, after=after, limit=limit), caller)

    def revoke(self, grant: UUID, why: Revocation, by: Principal) -> GrantOut:
        """End a grant for good, at once; a revoked one is given back as it is, any other closed one is GrantClosed."""
        found = self._grants.lock(grant)
        if found is None:
            raise GrantNotFound
        now = self._clock.now(self._session)
        status = status_of(found, now)
        if status not in ("active", "scheduled", "revoked"):
            raise GrantClosed(grant_status=status, closed_at=instant_text(found.closed_at or found.ends_at))
        if status == "revoked":
            self._grants.see_closed()
        else:
            self._close(found, why, by, now)
        return self.describe([found], by)[0]

    def _close(self, grant: Grant, why: Revocation, by: Principal, now: datetime) -> None:
        grant.closed_at, grant.close_reason, grant.closed_by = now, "revoked", by.account
        grant.close_note, grant.close_reason_code = why.reason, why.reason_code
        self._grants.flush()
        self._grants.raise_change(grant)
        data = {"dataset": grant.dataset, "frequency": grant.frequency, "account": str(grant.account)}
        audit.record(self._session, audit_events, actor=by, action="grant.revoked", subject=grant.id, data=data)
        told = as_json(_describe(grant, now))
        announce(self._session, "grant.revoked", to=grant.account, data={**told, "reason_code": why.reason_code})

    def describe(self, grants: Sequence[Grant], caller: Principal) -> list[GrantOut]:
        """The grants as this caller may see them."""
        now = self._clock.now(self._session)
        if not caller.is_ops:
            return [_describe(grant, now) for grant in grants]
        names = {id_: account.name for id_, account in self._accounts.find_all(g.account for g in grants).items()}
        return [
            OpsGrantOut(
                **_describe(grant, now).model_dump(),
                account_name=names.get(grant.account),
                granted_by=grant.granted_by,
            )
            for grant in grants
        ]


def new_grant(
    *, account: UUID, dataset: str, frequency: str, term: Term, origin: str, now: datetime, by: UUID | None
) -> Grant:
    """A grant that is not written yet."""
    return Grant(
        id=new_id(),
        account=account,
        dataset=dataset,
        frequency=frequency,
        kind=term.kind,
        origin=origin,
        starts_at=term.starts_at,
        ends_at=term.ends_at,
        created_at=now,
        granted_by=by,
    )


def _describe(grant: Grant, now: datetime) -> GrantOut:
    fields = grant.model_dump(include=set(GrantOut.model_fields))
    return GrantOut.model_validate(
        {
            **fields,
            "status": status_of(grant, now),
            "reason": grant.close_note or grant.reason,
            "request": grant.request_id,
        }
    )
