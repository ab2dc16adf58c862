"""What can be done with accounts and keys: make, list, revoke, and tell who holds one."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import cast
from uuid import UUID

from sqlalchemy.orm import Session

from gateway.database import audit_events
from gateway.keys.entities import Account, ApiKey
from gateway.keys.errors import AccountNotFound, ApiKeyNotFound, InvalidKey, LastAdmin, NameTaken
from gateway.keys.policy import KeyParts, is_usable
from gateway.keys.repository import KeyRepository
from gateway.keys.schemas import AccountOut, ApiKeyOut, Me, NewApiKeyOut, OwnKey, Position, Role
from gateway.keys.secrets import KeySecrets
from shared import audit
from shared.clock import Clock
from shared.coherence.stamp import Stamp
from shared.errors import NotFound, invalid
from shared.ids import new_id
from shared.principal import Principal


@dataclass(frozen=True)
class Vouched:
    """Who holds a key, until when it opens, and how new that is."""

    principal: Principal
    until: datetime | None
    stamp: Stamp | None


class KeyService:
    """The use cases of accounts and keys, in the caller's transaction."""

    def __init__(self, session: Session, clock: Clock, secrets: KeySecrets) -> None:
        self._session = session
        self._clock = clock
        self._secrets = secrets
        self._keys = KeyRepository(session)

    def authenticate(self, parts: KeyParts) -> Principal:
        """Who holds this key; raises InvalidKey."""
        return self.vouch(parts).principal

    def vouch(self, parts: KeyParts) -> Vouched:
        """Who holds this key; raises InvalidKey, for an unknown id at the same cost as for a wrong secret."""
        found = self._keys.credential(parts.id)
        if not self._secrets.matches(parts.secret, found and found[0].digest) or found is None:
            raise InvalidKey
        key, account, now, stamp = found
        if not is_usable(expires_at=key.expires_at, revoked_at=key.revoked_at, now=now):
            raise InvalidKey
        self._keys.record_use(key, now)
        principal = Principal(role=cast("Role", account.role), name=account.name, account=account.id, key=key.id)
        return Vouched(principal, key.expires_at, stamp)

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

    def revoke(self, key_id: str, by: Principal) -> None:
        """Refuse a key from now on; once more changes nothing. Raises ApiKeyNotFound, LastAdmin."""
        self._keys.lock_admins()
        key, now = self.find(key_id), self._clock.now(self._session)
        usable = is_usable(expires_at=key.expires_at, revoked_at=key.revoked_at, now=now)
        if key.role == "admin" and usable and not self._keys.usable_admins(now, without=key_id):
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

    def _record(self, by: Principal, action: str, key_id: str, **data: str) -> None:
        audit.record(self._session, audit_events, actor=by, action=action, subject=key_id, data=data)
