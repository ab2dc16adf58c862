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
from gateway.keys.errors import (
    AccountNotFound,
    AlreadyRotated,
    ApiKeyNotFound,
    InvalidKey,
    KeyNotUsable,
    LastAdmin,
    NameTaken,
)
from gateway.keys.policy import RESERVE, KeyParts, parse
from gateway.keys.repository import KeyRepository
from gateway.keys.schemas import NewApiKeyOut
from gateway.keys.secrets import KeySecrets
from gateway.keys.service import KeyService
from shared.errors import InvalidInput
from shared.ids import new_id
from tests.conftest import Stores
from tests.gateway.conftest import CLI, PEPPER, key_service
from tests.gateway.keys.standing import StandingClock

DAY = timedelta(days=1)
MS = timedelta(milliseconds=1)
NOON = datetime(2030, 1, 1, 12, tzinfo=UTC)
NEWER = "a newer pepper for tests"
FAR = datetime(2100, 1, 1, tzinfo=UTC)


@pytest.fixture
def clock() -> StandingClock:
    """Noon, until it is turned."""
    return StandingClock(NOON)


@pytest.fixture
def timed(session: Session, clock: StandingClock) -> KeyService:
    """The use cases of keys by that clock."""
    return KeyService(session, clock, KeySecrets(PEPPER))


def opens(service: KeyService, session: Session, *keys: NewApiKeyOut) -> list[bool]:
    """Which of these keys open the door now."""
    found = []
    for key in keys:
        session.expire_all()
        try:
            found.append(service.authenticate(parts_of(key)).key == key.id)
        except InvalidKey:
            found.append(False)
    return found


def events_of(session: Session, key_id: str) -> list[str]:
    """What was done to a key, by the audit trail."""
    query = select(audit_events.c.action).where(audit_events.c.subject == key_id).order_by(audit_events.c.id)
    return list(session.execute(query).scalars())


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
    assert [s.split()[0] for s in first].count("UPDATE") == 1
    assert [s.split()[0] for s in second].count("UPDATE") == 0
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
    count = KeyRepository.lasting_admins

    def count_and_meet(self: KeyRepository, now: datetime, *, without: str, until: datetime) -> int:
        others = count(self, now, without=without, until=until)
        with suppress(threading.BrokenBarrierError):
            counted.wait(timeout=0.3)
        return others

    monkeypatch.setattr(KeyRepository, "lasting_admins", count_and_meet)

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


@pytest.mark.parametrize(("early", "is_open"), [(MS, True), (0 * MS, False), (-MS, False)], ids=["-1", "0", "+1"])
def test_k4_a_key_ends_to_the_millisecond(
    timed: KeyService, session: Session, clock: StandingClock, early: timedelta, is_open: bool
) -> None:
    end = NOON + DAY
    made = timed.create(name="Ada", role="quant", expires_at=end, by=CLI)
    clock.instant = end - early
    assert opens(timed, session, made) == [is_open]


def test_k5_both_keys_work_until_the_overlap_ends(timed: KeyService, session: Session, clock: StandingClock) -> None:
    old = timed.create(name="Ada", role="ops", by=CLI)
    new = timed.rotate(old.id, overlap=DAY, by=CLI)
    assert (new.account, new.name, new.role, new.expires_at) == (old.account, "Ada", "ops", None)
    assert new.key not in (old.key, repr(new))
    clock.instant = NOON + DAY - MS
    assert opens(timed, session, old, new) == [True, True]
    clock.instant = NOON + DAY
    assert opens(timed, session, old, new) == [False, True]
    found = timed.find(old.id)
    assert (found.successor, found.expires_at, found.revoked_at) == (new.id, NOON + DAY, None)
    assert events_of(session, old.id) == ["api-key.created", "api-key.rotated"]
    assert events_of(session, new.id) == ["api-key.created"]


def test_k5_a_key_is_rotated_once_and_its_successor_too(timed: KeyService, session: Session) -> None:
    old = timed.create(name="Ada", role="quant", by=CLI)
    new = timed.rotate(old.id, overlap=0 * DAY, by=CLI)
    assert opens(timed, session, old, new) == [False, True]
    with pytest.raises(AlreadyRotated) as refused:
        timed.rotate(old.id, overlap=DAY, by=CLI)
    assert refused.value.members == {"successor": new.id}
    third = timed.rotate(new.id, overlap=DAY, by=CLI)
    assert opens(timed, session, new, third) == [True, True]
    assert timed.count() == 3


def test_k5_a_revoked_an_expired_and_an_unknown_key_are_not_rotated(
    timed: KeyService, session: Session, clock: StandingClock
) -> None:
    revoked, rotated = (timed.create(name=name, role="quant", by=CLI) for name in ("Ada", "Bob"))
    expired = timed.create(name="Cleo", role="quant", expires_at=NOON + MS, by=CLI)
    timed.rotate(rotated.id, overlap=DAY, by=CLI)
    for key in (revoked, rotated):
        timed.revoke(key.id, CLI)
    clock.instant = NOON + MS
    for key in (revoked, rotated, expired):
        session.expire_all()
        with pytest.raises(KeyNotUsable):
            timed.rotate(key.id, overlap=DAY, by=CLI)
    with pytest.raises(ApiKeyNotFound):
        timed.rotate("nosuchkey0", overlap=DAY, by=CLI)
    assert timed.count() == 4


def test_rotating_extends_neither_key(timed: KeyService, session: Session, clock: StandingClock) -> None:
    end = NOON + timedelta(hours=1)
    old = timed.create(name="Ada", role="quant", expires_at=end, by=CLI)
    new = timed.rotate(old.id, overlap=DAY, by=CLI)
    assert new.expires_at == timed.find(old.id).expires_at == end
    clock.instant = end
    assert opens(timed, session, old, new) == [False, False]


def rotate_twice(stores: Stores, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Two admins rotate one key, and meet after both have looked at it, if nothing keeps them apart."""
    with key_service(stores) as service:
        old = service.create(name="Ada", role="quant", by=CLI)
    outcomes: list[str] = []
    looked = threading.Barrier(2)
    look = KeyRepository.credential_to_change

    def look_and_meet(self: KeyRepository, key_id: str) -> object:
        found = look(self, key_id)
        with suppress(threading.BrokenBarrierError):
            looked.wait(timeout=0.3)
        return found

    monkeypatch.setattr(KeyRepository, "credential_to_change", look_and_meet)

    def rotate() -> None:
        try:
            with key_service(stores) as service:
                service.rotate(old.id, overlap=DAY, by=CLI)
        except AlreadyRotated:
            outcomes.append("refused")
        else:
            outcomes.append("rotated")

    threads = [threading.Thread(target=rotate) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with key_service(stores) as service:
        return [*sorted(outcomes), str(service.count())]


def test_k5_rotated_twice_at_once_a_key_has_one_successor(stores: Stores, monkeypatch: pytest.MonkeyPatch) -> None:
    assert rotate_twice(stores, monkeypatch) == ["refused", "rotated", "2"]


def test_k5_without_the_lock_it_would_have_two(stores: Stores, monkeypatch: pytest.MonkeyPatch) -> None:
    def unlocked(keys: KeyRepository, key_id: str) -> object:
        found = keys.credential(key_id)
        return found and found[:2]

    monkeypatch.setattr(KeyRepository, "credential_to_change", unlocked)
    assert rotate_twice(stores, monkeypatch) == ["rotated", "rotated", "3"]


def test_a_rotated_admin_key_does_not_stand_in_for_its_successor(timed: KeyService, session: Session) -> None:
    old = timed.create(name="Ada", role="admin", by=CLI)
    new = timed.rotate(old.id, overlap=7 * DAY, by=CLI)
    with pytest.raises(LastAdmin):
        timed.revoke(new.id, CLI)
    timed.revoke(old.id, CLI)
    session.expire_all()
    with pytest.raises(LastAdmin):
        timed.revoke(new.id, CLI)


@pytest.mark.parametrize(
    ("own", "other", "may_go"),
    [
        (None, None, True),
        (None, RESERVE, True),
        (None, RESERVE - MS, False),
        (2 * DAY, RESERVE - MS, False),
        (2 * MS, 2 * MS, True),
        (2 * MS, MS, False),
    ],
)
def test_an_admin_key_goes_only_where_another_lasts(
    timed: KeyService, own: timedelta | None, other: timedelta | None, may_go: bool
) -> None:
    ends = [term if term is None else NOON + term for term in (own, other)]
    made, _ = (timed.create(name=f"admin {n}", role="admin", expires_at=end, by=CLI) for n, end in enumerate(ends))
    if may_go:
        timed.revoke(made.id, CLI)
    else:
        with pytest.raises(LastAdmin):
            timed.revoke(made.id, CLI)


def test_a_key_is_digested_anew_when_it_is_used_after_a_new_pepper(keys: KeyService, session: Session) -> None:
    made = keys.create(name="Ada", role="quant", by=CLI)
    changed = KeyService(session, keys._clock, KeySecrets(NEWER, version=2, others={1: PEPPER}))
    with statements(session) as first:
        assert opens(changed, session, made) == [True]
    session.expire_all()
    digest = session.get_one(ApiKey, made.id).digest
    assert digest.startswith("$tg-hmac$2$")
    with statements(session) as second:
        assert opens(changed, session, made) == [True]
    assert sum("SET digest" in s for s in first) == 1
    assert not any("SET digest" in s for s in second)
    after = KeyService(session, keys._clock, KeySecrets(NEWER, version=2))
    assert opens(after, session, made) == [True]
    assert opens(keys, session, made) == [False]  # under a pepper it does not know: like any other bad key


def test_a_digest_that_was_renewed_meanwhile_stays(keys: KeyService, session: Session) -> None:
    made = keys.create(name="Ada", role="quant", by=CLI)
    repository = KeyRepository(session)
    old = session.get_one(ApiKey, made.id).digest
    assert repository.renew_digest(made.id, old=old, new="first")
    assert not repository.renew_digest(made.id, old=old, new="second")
    session.expire_all()
    assert session.get_one(ApiKey, made.id).digest == "first"


def test_a_wrong_secret_or_an_ended_key_renews_nothing(keys: KeyService, session: Session, admin: NewApiKeyOut) -> None:
    made = keys.create(name="Ada", role="quant", by=CLI)
    keys.revoke(made.id, CLI)
    session.expire_all()
    changed = KeyService(session, keys._clock, KeySecrets(NEWER, version=2, others={1: PEPPER}))
    for parts in (parts_of(made), KeyParts(id=admin.id, secret=parts_of(made).secret)):
        with pytest.raises(InvalidKey):
            changed.authenticate(parts)
    session.expire_all()
    for key in (made, admin):
        assert session.get_one(ApiKey, key.id).digest.startswith("$tg-hmac$1$")
