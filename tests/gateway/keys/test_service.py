"""The life of a key, on the real database."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from sqlalchemy import event, select, update
from sqlalchemy.orm import Session
from sqlmodel import col

from gateway.database import audit_events
from gateway.keys.entities import ApiKey
from gateway.keys.errors import AccountNotFound, ApiKeyNotFound, InvalidKey, LastAdmin, NameTaken
from gateway.keys.policy import KeyParts, parse
from gateway.keys.repository import KeyRepository
from gateway.keys.schemas import NewApiKeyOut
from gateway.keys.service import KeyService
from shared.errors import InvalidInput
from shared.ids import new_id
from tests.conftest import Stores
from tests.gateway.conftest import CLI, key_service

FAR = datetime(2100, 1, 1, tzinfo=UTC)


def parts_of(key: NewApiKeyOut) -> KeyParts:
    parts = parse(key.key)
    assert parts is not None
    return parts


@contextmanager
def statements(session: Session) -> Iterator[list[str]]:
    """The statements that reach the database meanwhile."""
    seen: list[str] = []

    def note(_connection: object, _cursor: object, statement: str, *_: object) -> None:
        if "clock_timestamp" in statement or statement.startswith(("SELECT", "UPDATE")):
            seen.append(statement)

    engine = session.get_bind().engine
    event.listen(engine, "before_cursor_execute", note)
    yield seen
    event.remove(engine, "before_cursor_execute", note)


def test_a_key_is_made_shown_once_and_opens_the_door(keys: KeyService, session: Session) -> None:
    made = keys.create(name="Ada", role="quant", expires_at=FAR, by=CLI)
    principal = keys.authenticate(parts_of(made))
    assert (principal.account, principal.role, principal.name, principal.key) == (made.account, "quant", "Ada", made.id)
    listed = keys.find(made.id)
    assert (listed.name, listed.role, listed.expires_at, listed.revoked_at) == ("Ada", "quant", FAR, None)
    stored = session.get_one(ApiKey, made.id)
    assert parts_of(made).secret not in stored.model_dump_json()
    assert made.key not in repr(made)


def test_an_account_has_several_keys_of_one_role(keys: KeyService) -> None:
    first = keys.create(name="Ada", role="ops", by=CLI)
    second = keys.create_for(first.account, by=CLI)
    assert (second.account, second.name, second.role) == (first.account, "Ada", "ops")
    assert keys.authenticate(parts_of(second)).account == keys.authenticate(parts_of(first)).account
    assert keys.count() == 2


def test_a_taken_name_an_unknown_account_and_a_past_end_are_refused(keys: KeyService) -> None:
    keys.create(name="Ada", role="quant", by=CLI)
    with pytest.raises(NameTaken):
        keys.create(name="Ada", role="ops", by=CLI)
    with pytest.raises(AccountNotFound):
        keys.create_for(new_id(), by=CLI)
    with pytest.raises(InvalidInput):
        keys.create(name="Bob", role="quant", expires_at=datetime(2020, 1, 1, tzinfo=UTC), by=CLI)


def test_unknown_wrong_expired_and_revoked_keys_are_refused_alike(
    keys: KeyService, session: Session, admin: NewApiKeyOut
) -> None:
    good, expired, revoked = (keys.create(name=name, role="quant", by=CLI) for name in ("Ada", "Bob", "Cleo"))
    past = datetime.now(UTC) - timedelta(seconds=1)
    session.execute(update(ApiKey).where(col(ApiKey.id) == expired.id).values(expires_at=past))
    keys.revoke(revoked.id, CLI)
    unknown = KeyParts(id="0000000000", secret=parts_of(good).secret)
    wrong = KeyParts(id=good.id, secret=parts_of(admin).secret)
    session.expire_all()
    for parts in (unknown, wrong, parts_of(expired), parts_of(revoked)):
        with pytest.raises(InvalidKey):
            keys.authenticate(parts)
    assert keys.authenticate(parts_of(good)).key == good.id


def test_use_is_recorded_at_most_once_a_minute_and_never_backwards(keys: KeyService, session: Session) -> None:
    made = keys.create(name="Ada", role="quant", by=CLI)
    with statements(session) as first:
        keys.authenticate(parts_of(made))
    session.expire_all()
    with statements(session) as second:
        keys.authenticate(parts_of(made))
    assert [s.split()[0] for s in first] == ["SELECT", "UPDATE"]
    assert [s.split()[0] for s in second] == ["SELECT"]
    ahead = datetime.now(UTC) + timedelta(hours=1)
    session.execute(update(ApiKey).values(last_used_at=ahead))
    session.expire_all()
    keys.authenticate(parts_of(made))
    assert keys.find(made.id).last_used_at == ahead


def test_revoking_again_changes_nothing(keys: KeyService, session: Session, admin: NewApiKeyOut) -> None:
    made = keys.create(name="Ada", role="quant", by=CLI)
    keys.revoke(made.id, CLI)
    session.expire_all()
    revoked_at = keys.find(made.id).revoked_at
    assert revoked_at is not None
    keys.revoke(made.id, CLI)
    session.expire_all()
    assert keys.find(made.id).revoked_at == revoked_at
    actions = session.execute(select(audit_events.c.action).where(audit_events.c.subject == made.id)).scalars()
    assert list(actions) == ["api-key.created", "api-key.revoked"]
    with pytest.raises(ApiKeyNotFound):
        keys.revoke("nosuchkey0", CLI)


def test_the_last_usable_admin_key_stays(keys: KeyService, session: Session, admin: NewApiKeyOut) -> None:
    second = keys.create_for(admin.account, by=CLI)
    session.execute(update(ApiKey).where(col(ApiKey.id) == second.id).values(expires_at=admin.created_at))
    session.expire_all()
    with pytest.raises(LastAdmin):
        keys.revoke(admin.id, CLI)
    keys.revoke(second.id, CLI)  # expired: revoking it takes nothing away
    keys.create(name="another admin", role="admin", by=CLI)
    keys.revoke(admin.id, CLI)


def revoke_each_other(stores: Stores, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Two admins revoke each other's key, and meet after both have counted, if nothing keeps them apart."""
    with key_service(stores) as service:
        made = [service.create(name=name, role="admin", by=CLI) for name in ("Ada", "Bob")]
    outcomes: list[str] = []
    counted = threading.Barrier(2)
    count = KeyRepository.usable_admins

    def count_and_meet(self: KeyRepository, now: datetime, *, without: str) -> int:
        others = count(self, now, without=without)
        with suppress(threading.BrokenBarrierError):
            counted.wait(timeout=0.3)
        return others

    monkeypatch.setattr(KeyRepository, "usable_admins", count_and_meet)

    def revoke(key: NewApiKeyOut) -> None:
        with key_service(stores) as service:
            try:
                service.revoke(key.id, CLI)
            except LastAdmin:
                outcomes.append("refused")
            else:
                outcomes.append("revoked")

    threads = [threading.Thread(target=revoke, args=(key,)) for key in made]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return sorted(outcomes)


def test_two_admins_who_revoke_each_other_leave_one(stores: Stores, monkeypatch: pytest.MonkeyPatch) -> None:
    assert revoke_each_other(stores, monkeypatch) == ["refused", "revoked"]


def test_without_the_lock_they_would_leave_none(stores: Stores, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(KeyRepository, "lock_admins", lambda _: None)
    assert revoke_each_other(stores, monkeypatch) == ["revoked", "revoked"]


def test_keys_are_listed_in_pages_oldest_first(keys: KeyService) -> None:
    made = [keys.create(name=f"account {n}", role="quant", by=CLI).id for n in range(5)]
    first = keys.list(limit=2)
    rest = keys.list(after=(first[-1].created_at, first[-1].id))
    assert [key.id for key in (*first, *rest)] == made


def test_accounts_are_told_by_id_or_in_order(keys: KeyService) -> None:
    made = [keys.create(name=f"account {n}", role="quant", by=CLI).account for n in range(3)]
    assert [a.id for a in keys.accounts([made[2], made[0], new_id()])] == [made[0], made[2]]
    assert [a.id for a in keys.accounts_after(UUID(int=0), limit=2)] == made[:2]
    assert [a.id for a in keys.accounts_after(made[1], limit=2)] == made[2:]
    assert keys.account(made[0]).name == "account 0"
