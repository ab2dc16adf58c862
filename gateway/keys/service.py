"""What can be done with accounts and keys: make, list, rotate, revoke, and tell who holds one."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import cast
from uuid import UUID

from sqlalchemy.orm import Session

from gateway.database import audit_events
from gateway.keys.entities import Account, ApiKey
from gateway.keys.errors import (
    AccountNotFound,
    AlreadyRotated,
    ApiKeyNotFound,
    InvalidKey,
    KeyNotUsable,
    LastAdmin,
    NameTaken,
)
from gateway.keys.policy import KeyParts, end_of_overlap, is_usable, must_outlast
from gateway.keys.repository import RECORD_EVERY, KeyRepository
from gateway.keys.schemas import AccountOut, ApiKeyOut, KeysHeld, Me, NewApiKeyOut, OwnKey, Position, Role
from gateway.keys.secrets import KeySecrets
from gateway.keys.uses import SETTLED_WITHIN, KeyUses
from shared import audit
from shared.clock import Clock
from shared.coherence.stamp import Stamp
from shared.errors import NotFound, invalid
from shared.ids import new_id
from shared.principal import Principal


@dataclass(frozen=True)
class Vouched:
    """Who holds a key, until when it opens, how new that is, and in how long its next use is to be noted."""

    principal: Principal
    until: datetime | None
    stamp: Stamp | None
    use_due_in: timedelta


class KeyService:
    """The use cases of accounts and keys, in the caller's transaction; `uses` is what one process shares."""

    def __init__(self, session: Session, clock: Clock, secrets: KeySecrets, uses: KeyUses | None = None) -> None:
        self._session = session
        self._clock = clock
        self._secrets = secrets
        self._uses = uses or KeyUses()
        self._keys = KeyRepository(session)

    def authenticate(self, parts: KeyParts) -> Principal:
        """Who holds this key; raises InvalidKey."""
        return self.vouch(parts).principal

    def vouch(self, parts: KeyParts) -> Vouched:
        """Who holds this key; raises InvalidKey, for an unknown id at the same cost as for a wrong secret."""
        found = self._keys.credential(parts.id)
        verdict = self._secrets.verify(parts.secret, found and found[0].digest)
        if not verdict.is_right or found is None:
            raise InvalidKey
        key, account, stamp = found
        now = self._clock.now(self._session)
        if not is_usable(expires_at=key.expires_at, revoked_at=key.revoked_at, now=now):
            raise InvalidKey
        if verdict.renewed:
            self._keys.renew_digest(key.id, old=key.digest, new=verdict.renewed)
        unused = RECORD_EVERY if key.last_used_at is None else now - key.last_used_at
        due = RECORD_EVERY - unused if unused < RECORD_EVERY else self.record_use(key.id)
        principal = Principal(role=cast("Role", account.role), name=account.name, account=account.id, key=key.id)
        return Vouched(principal, key.expires_at, stamp, due)

    def record_use(self, key_id: str) -> timedelta:
        """Note that a key is used: one UPDATE a minute for each key, whoever else does the same at this moment.

        Tells in how long the next use is to be noted.
        """
        if not self._uses.claim(key_id):
            return SETTLED_WITHIN
        now = self._clock.now(self._session)
        last = now if self._keys.record_use(key_id, now) else self._keys.last_used_at(key_id)
        if last is None:
            return SETTLED_WITHIN
        self._uses.settle(key_id, age=now - last)
        return RECORD_EVERY - (now - last)

    def create(self, *, name: str, role: Role, by: Principal, expires_at: datetime | None = None) -> NewApiKeyOut:
        """Make an account and its first key, which is shown this once; raises NameTaken."""
        now = self._clock.now(self._session)
        account = Account(id=new_id(), name=name, role=role, created_at=now)
        if not self._keys.add_account(account):
            raise NameTaken
        return self._add_key(account, expires_at, now, by)

    def create_for(self, account_id: UUID, *, by: Principal, expires_at: datetime | None = None) -> NewApiKeyOut:
        """Make one more key of an account, which is shown this once; raises AccountNotFound."""
        account = self._keys.find_account(account_id)
        if account is None:
            raise AccountNotFound
        return self._add_key(account, expires_at, self._clock.now(self._session), by)

    def find(self, key_id: str) -> ApiKeyOut:
        """One key, without its secret; raises ApiKeyNotFound."""
        key = self._keys.find(key_id)
        if key is None:
            raise ApiKeyNotFound
        return key

    def rotate(self, key_id: str, *, overlap: timedelta, by: Principal) -> NewApiKeyOut:
        """Make the one key that takes this one's place, shown this once; the old one ends with the overlap.

        The new key ends when the old one would have. Raises ApiKeyNotFound, AlreadyRotated, KeyNotUsable.
        """
        found = self._keys.credential_to_change(key_id)
        if found is None:
            raise ApiKeyNotFound
        key, account = found
        now = self._clock.now(self._session)
        if key.revoked_at is None and key.successor is not None:
            raise AlreadyRotated(successor=key.successor)
        if not is_usable(expires_at=key.expires_at, revoked_at=key.revoked_at, now=now):
            raise KeyNotUsable
        made = self._add_key(account, key.expires_at, now, by)
        ends_at = end_of_overlap(now=now, overlap=overlap, expires_at=key.expires_at)
        self._keys.give_way(key, successor=made.id, ends_at=ends_at)
        self._keys.raise_change(key_id)
        told = {"account": str(account.id), "successor": made.id, "expires_at": ends_at.isoformat()}
        self._record(by, "api-key.rotated", key_id, **told)
        return made

    def revoke(self, key_id: str, by: Principal) -> None:
        """Refuse a key from now on; once more changes nothing. Raises ApiKeyNotFound, LastAdmin."""
        self._keys.lock_admins()
        key, now = self.find(key_id), self._clock.now(self._session)
        usable = is_usable(expires_at=key.expires_at, revoked_at=key.revoked_at, now=now)
        if key.role == "admin" and usable and not self._leaves_an_admin(key, now):
            raise LastAdmin
        if not self._keys.revoke(key_id, now):
            self._keys.see_closed()
        else:
            self._keys.raise_change(key_id)
            self._record(by, "api-key.revoked", key_id, account=str(key.account))

    def count(self) -> int:
        """How many keys were ever made; at 0 nobody can come in."""
        return self._keys.count()

    def me(self, principal: Principal) -> Me:
        """The caller's account and the key it came with."""
        key = self.find(principal.key or "")
        own = OwnKey(id=key.id, expires_at=key.expires_at)
        return Me(account=key.account, name=key.name, role=key.role, key=own)

    def account(self, account_id: UUID) -> AccountOut:
        """One account; raises NotFound."""
        account = self._keys.find_account(account_id)
        if account is None:
            raise NotFound
        return AccountOut.model_validate(account)

    def usable_keys(self, account_id: UUID) -> KeysHeld:
        """How many keys open the door to an account, also to one that does not exist."""
        return KeysHeld(usable=self._keys.count_usable(account_id, self._clock.now(self._session)))

    def accounts(self, ids: Sequence[UUID]) -> Sequence[AccountOut]:
        """These accounts, by id; those that do not exist are left out."""
        return [AccountOut.model_validate(row) for row in self._keys.accounts(ids)]

    def accounts_after(self, after: UUID, *, limit: int) -> Sequence[AccountOut]:
        """At most `limit` accounts whose ids follow `after`, by id."""
        return [AccountOut.model_validate(row) for row in self._keys.accounts_after(after, limit)]

    def list(self, *, after: Position | None = None, limit: int = 10_000) -> Sequence[ApiKeyOut]:
        """Keys without their secrets, oldest first."""
        return self._keys.page(after, limit)

    def _add_key(self, account: Account, expires_at: datetime | None, now: datetime, by: Principal) -> NewApiKeyOut:
        if expires_at is not None and expires_at <= now:
            raise invalid("body", "/expires_at", "an instant that is not past")
        minted = self._secrets.mint()
        key = ApiKey(id=minted.id, account=account.id, digest=minted.digest, created_at=now, expires_at=expires_at)
        self._keys.add_key(key)
        self._record(by, "api-key.created", key.id, account=str(account.id), role=account.role)
        shown = {"name": account.name, "role": account.role, "key": minted.text}
        return NewApiKeyOut.model_validate({**key.model_dump(), **shown})

    def _leaves_an_admin(self, key: ApiKeyOut, now: datetime) -> bool:
        until = must_outlast(now=now, expires_at=key.expires_at)
        return self._keys.lasting_admins(now, without=key.id, until=until) > 0

    def _record(self, by: Principal, action: str, key_id: str, **data: str) -> None:
        audit.record(self._session, audit_events, actor=by, action=action, subject=key_id, data=data)
