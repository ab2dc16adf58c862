"""What can be done with grants: give, list, find."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from sqlalchemy.orm import Session

from services.entitlements.accounts.repository import AccountRepository
from services.entitlements.grants.entities import Grant
from services.entitlements.grants.errors import CellHeld, GrantNotFound
from services.entitlements.grants.policy import Term, closed_at, later, longest, shortens, status_of
from services.entitlements.grants.repository import GrantRepository
from services.entitlements.grants.schemas import GrantOut, GrantsQuery, OpsGrantOut
from shared.clock import Clock
from shared.errors import invalid
from shared.ids import new_id
from shared.principal import Principal


class GrantService:
    """The grants' use cases, in the caller's transaction."""

    def __init__(self, session: Session, clock: Clock) -> None:
        self._session = session
        self._clock = clock
        self._grants = GrantRepository(session)
        self._accounts = AccountRepository(session)

    def give(self, grant: Grant, now: datetime) -> Grant:
        """Write a new grant and close what stands in its cell, both at `now`; raises CellHeld if both cannot be, or
        AccountBlocked.

        What is approved where a grant runs renews it: from now, with no gap, and never ending earlier. A revocation to
        come goes on to the new grant.
        """
        self._accounts.require_good(grant.account, now)
        standing = self._grants.lock_unclosed(grant.account, grant.dataset, grant.frequency)
        if standing is not None:
            self._make_way(standing, grant, now)
        if not self._grants.add(grant):
            raise CellHeld
        return grant

    def _make_way(self, standing: Grant, grant: Grant, now: datetime) -> None:
        """Close the cell's unclosed grant: as what it is where its time is over, else as superseded by the new one."""
        if self._grants.write_end(standing, now):
            return
        if status_of(standing, now) == "active":
            self._renew(standing, grant, now)
        follow(standing, grant)
        self._grants.close(standing, "superseded", at=now)
        # one that was to begin may have begun, and been read under, since `now`
        if grant.starts_at > now or shortens(longest(standing), longest(grant)):
            self._grants.raise_change(grant)

    def _renew(self, running: Grant, grant: Grant, now: datetime) -> None:
        if grant.starts_at > now or (grant.kind == "trial" and running.kind == "standard"):
            raise CellHeld(grant=str(running.id))
        if grant.origin != "direct":
            grant.origin, grant.ends_at = "renewal", later(running.ends_at, grant.ends_at)

    def find(self, grant: UUID, caller: Principal) -> GrantOut:
        """One grant; raises GrantNotFound, also for another account's unless the caller is Ops."""
        found = self._grants.find(grant)
        if found is None or not (caller.is_ops or found.account == caller.account):
            raise GrantNotFound
        return self.describe([found], caller)[0]

    def page(self, query: GrantsQuery, caller: Principal, *, after: UUID | None, limit: int) -> list[GrantOut]:
        """Grants, oldest first: all of them for Ops, else the caller's own.

        Raises InvalidInput for an `as_of` to come: what would be is not told.
        """
        if query.as_of is not None and query.as_of > self._clock.now(self._session):
            raise invalid("query", "/as_of", "an instant that is not to come")
        own = None if caller.is_ops else caller.account_id
        return self.describe(self._grants.page(query, account=own, after=after, limit=limit), caller)

    def describe(self, grants: Sequence[Grant], caller: Principal) -> list[GrantOut]:
        """The grants as this caller may see them."""
        now = self._clock.now(self._session)
        if not caller.is_ops:
            return [described(grant, now) for grant in grants]
        names = {id_: account.name for id_, account in self._accounts.find_all(g.account for g in grants).items()}
        return [
            OpsGrantOut(
                **described(grant, now).model_dump(),
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
        grace_days=term.grace_days,
    )


def follow(old: Grant, new: Grant) -> None:
    """Have a new grant take the place of an open one, under the revocation to come, which only `keep` calls off, and
    the retirement; raises CellHeld where it could not begin before."""
    if any(at is not None and at <= new.starts_at for at in (old.revokes_at, old.retires_at)):
        raise CellHeld(grant=str(old.id))
    new.supersedes, new.revokes_at, new.retires_at = old.id, old.revokes_at, old.retires_at
    new.closed_by, new.close_note, new.close_reason_code = old.closed_by, old.close_note, old.close_reason_code


def described(grant: Grant, now: datetime) -> GrantOut:
    """The grant as its account sees it."""
    fields = grant.model_dump(include=set(GrantOut.model_fields))
    return GrantOut.model_validate(
        {
            **fields,
            "status": status_of(grant, now),
            "closed_at": closed_at(grant, now),
            "reason": grant.close_note or grant.reason,
            "request": grant.request_id,
        }
    )
