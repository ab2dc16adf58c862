"""Reads and writes the rows of accounts and keys."""

from collections.abc import Collection, Sequence
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import ColumnElement, Select, func, select, tuple_, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session
from sqlmodel import col

from gateway.database import feed
from gateway.keys.entities import Account, ApiKey
from gateway.keys.schemas import ApiKeyOut, Position
from shared.coherence.owner import must_settle, raise_change, stamp_columns, stamp_of
from shared.coherence.stamp import Stamp

ADMIN_LOCK = 7_205_760
RECORD_EVERY = timedelta(minutes=1)


class KeyRepository:
    """The accounts and keys in one transaction."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def add_account(self, account: Account) -> bool:
        """Write a new account; false when its name is taken, also by a twin at the same moment."""
        new = insert(Account).values(account.model_dump()).on_conflict_do_nothing(index_elements=["name"])
        return self._session.execute(new.returning(col(Account.id))).first() is not None

    def find_account(self, account: UUID) -> Account | None:
        """The account, if there is one."""
        return self._session.get(Account, account)

    def accounts(self, ids: Collection[UUID]) -> Sequence[Account]:
        """These accounts, as far as they exist."""
        return self._session.scalars(select(Account).where(col(Account.id).in_(ids)).order_by(col(Account.id))).all()

    def accounts_after(self, after: UUID, limit: int) -> Sequence[Account]:
        """At most `limit` accounts whose ids follow `after`."""
        query = select(Account).where(col(Account.id) > after).order_by(col(Account.id)).limit(limit)
        return self._session.scalars(query).all()

    def add_key(self, key: ApiKey) -> None:
        """Write a new key."""
        self._session.add(key)
        self._session.flush()

    def find(self, key_id: str) -> ApiKeyOut | None:
        """The key with its account's name and role, if there is one."""
        row = self._session.execute(_with_account().where(col(ApiKey.id) == key_id)).first()
        return None if row is None else _described(row[0], row[1])

    def page(self, after: Position | None, limit: int) -> list[ApiKeyOut]:
        """At most `limit` keys made after that position."""
        place = tuple_(col(ApiKey.created_at), col(ApiKey.id))
        query = _with_account().order_by(place).limit(limit)
        if after is not None:
            query = query.where(place > after)
        return [_described(key, account) for key, account in self._session.execute(query)]

    def credential(self, key_id: str) -> tuple[ApiKey, Account, Stamp | None] | None:
        """What deciding about a key takes, in one statement: its row, its account, and the count of changes."""
        query = _with_account().add_columns(*stamp_columns(feed)).where(col(ApiKey.id) == key_id)
        row = self._session.execute(query).first()
        return None if row is None else (row[0], row[1], stamp_of(*row[2:]))

    def credential_to_change(self, key_id: str) -> tuple[ApiKey, Account] | None:
        """The same as it stands now, and as it stays until this transaction ends: twins wait here."""
        query = _with_account().where(col(ApiKey.id) == key_id).with_for_update(of=ApiKey, key_share=True)
        row = self._session.execute(query.execution_options(populate_existing=True)).first()
        return None if row is None else (row[0], row[1])

    def record_use(self, key_id: str, now: datetime) -> bool:
        """Note a use unless one was noted within the minute; never backwards, and never waiting for a lock."""
        last = col(ApiKey.last_used_at)
        return self._update_if_free(key_id, last.is_(None) | (last <= now - RECORD_EVERY), last_used_at=now)

    def last_used_at(self, key_id: str) -> datetime | None:
        """The last use that was noted."""
        return self._session.execute(select(col(ApiKey.last_used_at)).where(col(ApiKey.id) == key_id)).scalar()

    def renew_digest(self, key_id: str, *, old: str, new: str) -> bool:
        """Replace a digest that is still the old one; never waiting for a lock, as the next use can do it as well."""
        return self._update_if_free(key_id, col(ApiKey.digest) == old, digest=new)

    def _update_if_free(self, key_id: str, condition: ColumnElement[bool], **values: object) -> bool:
        free = select(col(ApiKey.id)).where(col(ApiKey.id) == key_id, condition)
        free = free.with_for_update(key_share=True, skip_locked=True)
        change = update(ApiKey).where(col(ApiKey.id).in_(free)).values(**values).returning(col(ApiKey.id))
        return self._session.execute(change.execution_options(synchronize_session=False)).first() is not None

    def give_way(self, key: ApiKey, *, successor: str, ends_at: datetime) -> None:
        """Let a key end in favour of another one."""
        key.successor, key.expires_at = successor, ends_at
        self._session.flush()

    def lock_admins(self) -> None:
        """Let one transaction at a time decide whether an admin key may go."""
        self._session.execute(select(func.pg_advisory_xact_lock(ADMIN_LOCK)))

    def lasting_admins(self, now: datetime, *, without: str, until: datetime) -> int:
        """How many other admin keys open the door now and until that instant, rotated ones left out."""
        query = (
            select(func.count())
            .select_from(ApiKey)
            .join(Account, col(ApiKey.account) == col(Account.id))
            .where(col(Account.role) == "admin", col(ApiKey.id) != without, col(ApiKey.revoked_at).is_(None))
            .where(col(ApiKey.successor).is_(None))
            .where(_lasts(now, until))
        )
        return self._session.execute(query).scalar_one()

    def revoke(self, key_id: str, at: datetime) -> bool:
        """Revoke a key; false when it was already."""
        row = update(ApiKey).where(col(ApiKey.id) == key_id, col(ApiKey.revoked_at).is_(None)).values(revoked_at=at)
        return self._session.execute(row.returning(col(ApiKey.id))).first() is not None

    def count_usable(self, account: UUID, now: datetime) -> int:
        """How many of an account's keys are neither revoked nor over."""
        query = select(func.count()).select_from(ApiKey).where(col(ApiKey.account) == account)
        query = query.where(col(ApiKey.revoked_at).is_(None), _lasts(now, now))
        return self._session.execute(query).scalar_one()

    def raise_change(self, *key_ids: str) -> None:
        """These keys may open nothing any more, less, or for a shorter time."""
        raise_change(self._session, feed, key_ids)

    def see_closed(self) -> None:
        """An answer that says so waits like the one that closed it: that one may not have answered yet."""
        must_settle(self._session)

    def count(self) -> int:
        """How many keys were ever made."""
        return self._session.execute(select(func.count()).select_from(ApiKey)).scalar_one()


def _lasts(now: datetime, until: datetime) -> ColumnElement[bool]:
    expires_at = col(ApiKey.expires_at)
    return expires_at.is_(None) | ((expires_at > now) & (expires_at >= until))


def _with_account() -> Select[ApiKey, Account]:
    return select(ApiKey, Account).join(Account, col(ApiKey.account) == col(Account.id))


def _described(key: ApiKey, account: Account) -> ApiKeyOut:
    return ApiKeyOut.model_validate({**key.model_dump(), "name": account.name, "role": account.role})
