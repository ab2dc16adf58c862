"""D4: what the owner of a webhook can do, and what becomes of each event that is meant for it."""

from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import closing
from datetime import timedelta
from threading import Event as Flag
from typing import Any
from uuid import UUID

import pytest
import sqlmodel
from sqlalchemy import func, select, update
from sqlalchemy.orm import Session
from standardwebhooks import Webhook as Verifier
from standardwebhooks.webhooks import WebhookVerificationError

from services.entitlements.accounts.schemas import AccountOut
from services.entitlements.database import outbox
from services.entitlements.standing.schemas import Ruling
from services.entitlements.standing.service import StandingService
from services.entitlements.webhooks.entities import Delivery, Webhook
from services.entitlements.webhooks.errors import DeliveryNotFound, TooManyWebhooks, WebhookDisabled, WebhookNotFound
from services.entitlements.webhooks.events import TOLD
from services.entitlements.webhooks.jobs import sweep_deliveries
from services.entitlements.webhooks.repository import KEPT
from services.entitlements.webhooks.schemas import DeliveryOut, NewWebhookOut
from services.entitlements.webhooks.secrets import WebhookSecrets
from services.entitlements.webhooks.service import ADDED, DISABLED, DUE, MOST, DeliveryService, WebhookService
from services.entitlements.webhooks.source import Outcome
from services.entitlements.webhooks.tasks import LEASE, tasks
from shared.clock import DatabaseClock
from shared.database import Database
from shared.errors import InvalidInput, TemporarilyUnavailable
from shared.outbox import Errand, Task, deliver, publish, take_due
from shared.principal import Principal
from shared.settings import ServiceSettings
from tests.conftest import Stores
from tests.services.entitlements.fakes import ADMIN, OPS, OTHER, QUANT
from tests.world import until

URL = "https://receiver.example.com/hook"
SECRETS = WebhookSecrets("a key only for tests")
OK, FAILED = Outcome(status=200), Outcome(status=500)


class Scripted:
    """A receiver that answers as told, the last answer for ever."""

    def __init__(self, *outcomes: Outcome) -> None:
        self.outcomes = list(outcomes)
        self.got: list[tuple[str, dict[str, str], str]] = []

    def post(self, url: str, headers: Mapping[str, str], body: str) -> Outcome:
        """Take a message."""
        self.got.append((url, dict(headers), body))
        return self.outcomes.pop(0) if len(self.outcomes) > 1 else self.outcomes[0]


class Dying(Scripted):
    """One that takes a message, and the worker dies."""

    def post(self, url: str, headers: Mapping[str, str], body: str) -> Outcome:
        """Take it."""
        taken = super().post(url, headers, body)
        if len(self.got) == 1:
            raise SystemExit  # nothing catches it: what came of it is not written down
        return taken


class Interrupted(Scripted):
    """One at which something happens in the middle of the first attempt."""

    def __init__(self, meanwhile: Callable[[], None]) -> None:
        super().__init__(FAILED, OK)
        self._meanwhile = meanwhile

    def post(self, url: str, headers: Mapping[str, str], body: str) -> Outcome:
        """Take a message."""
        if not self.got:
            self._meanwhile()
        return super().post(url, headers, body)


class Post:
    """The way from an event to a receiver, step by step."""

    def __init__(self, database: Database, receiver: Scripted, secrets: WebhookSecrets = SECRETS) -> None:
        self.database = database
        self.receiver = receiver
        service = DeliveryService(DatabaseClock(), secrets, receiver, chance=lambda: 0.5)
        self._tasks = {**tasks, DUE: Errand(service.attempt, LEASE)}

    def owner(self, session: Session, caller: Principal = QUANT) -> WebhookService:
        """What somebody does with their webhooks."""
        return WebhookService(session, DatabaseClock(), SECRETS, caller)

    def add(self, caller: Principal = QUANT) -> NewWebhookOut:
        """A webhook."""
        with self.database.transaction() as session:
            return self.owner(session, caller).add(URL)

    def announce(self, recipient: str = str(QUANT.account)) -> None:
        """An event, told."""
        with self.database.transaction() as session:
            publish(session, outbox, "access.decided", {"recipient": recipient, "data": {"dataset": "BTC"}})
        self.work()

    def work(self) -> None:
        """Do all that is due, and what follows from it."""
        while events := self._due():
            for event, _ in events:
                deliver(self.database, outbox, self._tasks, event)

    def later(self) -> None:
        """The time until the next attempt has passed."""
        with self.database.transaction() as session:
            session.execute(update(outbox).where(outbox.c.state == "pending").values(due_at=func.clock_timestamp()))
        self.work()

    def deliveries(self, webhook: UUID, caller: Principal = QUANT) -> list[DeliveryOut]:
        """The log."""
        with self.database.transaction() as session:
            return self.owner(session, caller).deliveries(webhook, before=None, limit=100)

    def _due(self) -> list[tuple[UUID, str]]:
        with self.database.transaction() as session:
            return take_due(session, outbox)


@pytest.fixture
def database(stores: Stores) -> Iterator[Database]:
    """A database in which things are committed."""
    with closing(Database(stores.app_url("entitlements"), pool_size=2)) as database:
        yield database


def test_an_event_is_posted_once_with_a_signature_that_anybody_can_verify(database: Database) -> None:
    post = Post(database, Scripted(OK))
    webhook = post.add()
    post.announce()
    post.later()
    [(url, headers, body)] = post.receiver.got
    assert (url, webhook.secret is not None) == (URL, True)
    said: dict[str, Any] = Verifier(str(webhook.secret)).verify(body, headers)
    assert (said["type"], said["data"]) == ("access.decided", {"dataset": "BTC"})
    [told] = post.deliveries(webhook.id)
    assert (told.state, [attempt.status for attempt in told.attempts]) == ("delivered", [200])
    assert headers["webhook-id"] == str(told.id)


def test_a_secret_is_kept_where_nobody_can_read_it(database: Database) -> None:
    secret = str(Post(database, Scripted(OK)).add().secret)
    with database.transaction() as session:
        [kept] = session.execute(select(Webhook.secret)).scalars()  # type: ignore[call-overload]
    assert secret.removeprefix("whsec_").encode() not in kept


def test_without_a_key_there_are_no_webhooks(session: Session) -> None:
    with pytest.raises(TemporarilyUnavailable):
        WebhookService(session, DatabaseClock(), WebhookSecrets(""), QUANT).add(URL)


def test_after_a_rotation_both_secrets_verify_for_a_day(database: Database) -> None:
    post = Post(database, Scripted(OK))
    old = post.add()
    with database.transaction() as session:
        new = post.owner(session).rotate(old.id)
    assert (new.secret == old.secret, new.old_secret_until is None) == (False, False)
    post.announce()
    _, headers, body = post.receiver.got[-1]
    for secret in (old.secret, new.secret):
        Verifier(str(secret)).verify(body, headers)
    age_secrets(database)
    post.announce()
    _, headers, body = post.receiver.got[-1]
    Verifier(str(new.secret)).verify(body, headers)
    with pytest.raises(WebhookVerificationError):
        Verifier(str(old.secret)).verify(body, headers)


def test_after_two_rotations_within_the_day_all_three_secrets_verify(database: Database) -> None:
    post = Post(database, Scripted(OK))
    made = post.add()
    secrets = [made.secret]
    for _ in range(2):
        with database.transaction() as session:
            secrets.append(post.owner(session).rotate(made.id).secret)
    post.announce()
    _, headers, body = post.receiver.got[-1]
    for secret in secrets:
        Verifier(str(secret)).verify(body, headers)
    age_secrets(database, but=1)
    post.announce()
    _, headers, body = post.receiver.got[-1]
    for secret in secrets[1:]:
        Verifier(str(secret)).verify(body, headers)
    with pytest.raises(WebhookVerificationError):
        Verifier(str(secrets[0])).verify(body, headers)


def age_secrets(database: Database, *, but: int = 0) -> None:
    """A day has passed for a webhook's old secrets, but the latest few."""
    with database.transaction() as session:
        webhook = session.scalars(sqlmodel.select(Webhook)).one()
        over = len(webhook.old_secrets) - but
        aged = [{**old, "until": webhook.created_at.isoformat()} for old in webhook.old_secrets[:over]]
        webhook.old_secrets = aged + webhook.old_secrets[over:]


def test_d4_what_fails_is_tried_again_as_the_schedule_says(database: Database) -> None:
    post = Post(database, Scripted(FAILED, FAILED, OK))
    webhook = post.add()
    post.announce()
    [told] = post.deliveries(webhook.id)
    assert told.next_attempt_at is not None
    assert 4 < (told.next_attempt_at - told.attempts[0].at).total_seconds() < 6
    post.later()
    [told] = post.deliveries(webhook.id)
    assert told.next_attempt_at is not None
    assert 299 < (told.next_attempt_at - told.attempts[1].at).total_seconds() < 301
    post.later()
    [told] = post.deliveries(webhook.id)
    assert (told.state, told.next_attempt_at) == ("delivered", None)
    assert [attempt.status for attempt in told.attempts] == [500, 500, 200]
    assert len({headers["webhook-id"] for _, headers, _ in post.receiver.got}) == 1


def test_d4_a_receiver_that_asks_for_an_hour_gets_it(database: Database) -> None:
    post = Post(database, Scripted(Outcome(status=429, retry_after=3600)))
    webhook = post.add()
    post.announce()
    [told] = post.deliveries(webhook.id)
    assert told.next_attempt_at is not None
    assert 3599 < (told.next_attempt_at - told.attempts[0].at).total_seconds() < 3601


def test_d4_a_receiver_that_is_gone_is_told_no_more_and_its_owner_is(database: Database) -> None:
    post = Post(database, Scripted(Outcome(status=410)))
    webhook = post.add()
    for _ in range(2):
        post.announce()
    assert [told.state for told in post.deliveries(webhook.id)] == ["failed"]
    [(_, notice)] = told_of(database, DISABLED)
    assert notice == {"webhook": str(webhook.id), "url": URL, "reason": "gone"}
    assert set(notice) == set(TOLD[DISABLED].data)
    with database.transaction() as session:
        assert [(one.state, one.disabled_reason) for one in post.owner(session).list()] == [("disabled", "gone")]
    with pytest.raises(WebhookDisabled), database.transaction() as session:
        post.owner(session).replay(webhook.id, post.deliveries(webhook.id)[0].id)


def test_d4_what_was_under_way_to_a_receiver_that_is_gone_has_failed_too(database: Database) -> None:
    post = Post(database, Scripted(FAILED, FAILED, Outcome(status=410)))
    webhook = post.add()
    for _ in range(2):
        post.announce()
    post.later()
    told = post.deliveries(webhook.id)
    assert sorted(len(one.attempts) for one in told) == [1, 2]
    assert {(one.state, one.next_attempt_at) for one in told} == {("failed", None)}


def test_what_was_written_while_a_webhook_was_being_disabled_has_failed_once_it_is_due(database: Database) -> None:
    post = Post(database, Scripted(FAILED))
    webhook = post.add()
    post.announce()
    with database.transaction() as session:
        session.execute(update(Webhook).values(disabled_at=func.clock_timestamp(), disabled_reason="gone"))
    assert [told.state for told in post.deliveries(webhook.id)] == ["pending"]
    post.later()
    assert [(told.state, told.next_attempt_at) for told in post.deliveries(webhook.id)] == [("failed", None)]


def test_d4_ten_tries_are_all_and_a_replay_begins_anew(database: Database) -> None:
    post = Post(database, Scripted(FAILED))
    webhook = post.add()
    post.announce()
    for _ in range(12):
        post.later()
    [told] = post.deliveries(webhook.id)
    assert (told.state, len(told.attempts), len(post.receiver.got)) == ("failed", 10, 10)
    post.receiver.outcomes = [OK]
    with database.transaction() as session:
        assert post.owner(session).replay(webhook.id, told.id).state == "pending"
    post.work()
    [told] = post.deliveries(webhook.id)
    assert (told.state, len(told.attempts)) == ("delivered", 11)


def test_d4_a_replay_takes_the_place_of_the_tries_that_were_to_come(database: Database) -> None:
    post = Post(database, Scripted(FAILED, OK))
    webhook = post.add()
    post.announce()
    with database.transaction() as session:
        post.owner(session).replay(webhook.id, post.deliveries(webhook.id)[0].id)
    post.work()
    post.later()
    assert len(post.receiver.got) == 2


def test_d4_five_days_of_nothing_but_failures_end_it_with_a_notice(database: Database) -> None:
    post = Post(database, Scripted(FAILED))
    webhook = post.add()
    post.announce()
    with database.transaction() as session:
        session.execute(update(Webhook).values(failing_since=func.clock_timestamp() - timedelta(days=5)))
    post.later()
    assert [told.state for told in post.deliveries(webhook.id)] == ["failed"]
    assert [notice["reason"] for _, notice in told_of(database, DISABLED)] == ["failing"]


def test_d4_a_hiccup_a_month_after_the_last_failure_does_not_end_it(database: Database) -> None:
    post = Post(database, Scripted(FAILED))
    webhook = post.add()
    post.announce()
    with database.transaction() as session:
        ago = func.clock_timestamp() - timedelta(days=31)
        session.execute(update(Webhook).values(failing_since=ago, failed_at=ago + timedelta(days=3)))
    post.announce()
    assert {told.state for told in post.deliveries(webhook.id)} == {"pending"}
    assert told_of(database, DISABLED) == []


def test_d4_one_success_and_the_five_days_begin_anew(database: Database) -> None:
    post = Post(database, Scripted(FAILED, OK))
    post.add()
    post.announce()
    post.later()
    with database.transaction() as session:
        assert session.execute(select(Webhook.failing_since)).scalars().all() == [None]  # type: ignore[call-overload]


def test_an_event_that_is_handled_twice_is_delivered_once(database: Database) -> None:
    post = Post(database, Scripted(OK))
    post.add()
    post.announce()
    with database.transaction() as session:
        session.execute(update(outbox).values(state="pending"))
    post.work()
    assert len(post.receiver.got) == 1


def test_d4_an_attempt_whose_worker_died_is_made_again_under_the_same_id(database: Database) -> None:
    post = Post(database, Dying(OK))
    webhook = post.add()
    with pytest.raises(SystemExit):
        post.announce()
    post.work()
    assert len(post.receiver.got) == 1
    with database.transaction() as session:
        session.execute(update(outbox).where(outbox.c.state == "working").values(due_at=func.clock_timestamp()))
    post.work()
    [told] = post.deliveries(webhook.id)
    assert [headers["webhook-id"] for _, headers, _ in post.receiver.got] == [str(told.id)] * 2
    assert (told.state, [attempt.status for attempt in told.attempts]) == ("delivered", [200])


def test_an_attempt_during_which_a_replay_was_asked_for_is_in_the_log_and_the_replay_is_made(
    database: Database,
) -> None:
    def replay() -> None:
        with database.transaction() as session:
            post.owner(session).replay(webhook.id, post.deliveries(webhook.id)[0].id)

    post = Post(database, Interrupted(replay))
    webhook = post.add()
    post.announce()
    [told] = post.deliveries(webhook.id)
    assert (told.state, [attempt.status for attempt in told.attempts]) == ("delivered", [500, 200])
    post.later()
    assert len(post.receiver.got) == 2


def test_without_the_key_that_a_secret_was_sealed_under_attempts_fail_and_go_on_when_it_is_back(
    database: Database,
) -> None:
    post = Post(database, Scripted(OK))
    webhook = post.add()
    for lost in ("", "another key only for tests"):
        without = Post(database, Scripted(OK), WebhookSecrets(lost))
        without.announce()
        assert without.receiver.got == []
    told = post.deliveries(webhook.id)
    assert [[attempt.error for attempt in one.attempts] for one in told] == [["not-signed"]] * 2
    assert {one.state for one in told} == {"pending"}
    post.later()
    assert {one.state for one in post.deliveries(webhook.id)} == {"delivered"}


def test_a_webhook_whose_secret_is_lost_is_told_again_once_it_is_rotated(database: Database) -> None:
    Post(database, Scripted(OK)).add()
    post = Post(database, Scripted(OK), WebhookSecrets("another key only for tests"))
    with database.transaction() as session:
        owner = WebhookService(session, DatabaseClock(), WebhookSecrets("another key only for tests"), QUANT)
        secret = owner.rotate(owner.list()[0].id).secret
    post.announce()
    [(_, headers, body)] = post.receiver.got
    Verifier(str(secret)).verify(body, headers)


def test_what_was_over_a_month_ago_is_deleted_and_nothing_else(database: Database) -> None:
    post = Post(database, Scripted(FAILED))
    for _ in range(2):
        post.add()
        post.announce()  # three deliveries
    with database.transaction() as session:
        ids = sorted(session.execute(select(Delivery.id)).scalars())  # type: ignore[call-overload]
        long_ago = func.clock_timestamp() - KEPT - timedelta(minutes=1)
        session.execute(update(Delivery).where(sqlmodel.col(Delivery.id).in_(ids[:2])).values(created_at=long_ago))
        session.execute(update(Delivery).where(sqlmodel.col(Delivery.id) == ids[0]).values(state="failed"))
    sweep_deliveries(ServiceSettings.model_construct(), database)
    with database.transaction() as session:
        assert sorted(session.execute(select(Delivery.id)).scalars()) == ids[1:]  # type: ignore[call-overload]


def test_what_all_of_ops_is_told_goes_to_ops_webhooks_and_nobody_else_s(database: Database) -> None:
    post = Post(database, Scripted(OK))
    theirs = {who.account: post.add(who).id for who in (QUANT, OPS, ADMIN)}
    post.work()
    before = {account: len(post.deliveries(theirs[account], who)) for account, who in people()}
    post.announce("ops")
    told = {account: len(post.deliveries(theirs[account], who)) - before[account] for account, who in people()}
    assert told == {QUANT.account: 0, OPS.account: 1, ADMIN.account: 1}


def test_of_a_webhook_that_hears_what_ops_is_told_all_of_ops_is_told(database: Database) -> None:
    post = Post(database, Scripted(OK))
    post.add(QUANT)
    webhook = post.add(OPS)
    whose = {"account": str(OPS.account), "account_name": OPS.name}
    assert told_of(database, ADDED) == [("ops", {"webhook": str(webhook.id), "url": URL, **whose})]
    assert set(told_of(database, ADDED)[0][1]) == set(TOLD[ADDED].data)


def test_nothing_is_heard_by_the_webhooks_of_a_closed_account_whoever_it_belonged_to(database: Database) -> None:
    post = Post(database, Scripted(OK))
    theirs = {who.account: post.add(who).id for who in (QUANT, OPS, ADMIN)}
    for who in (QUANT, OPS):
        close(database, who)
    post.work()
    assert {headers["webhook-id"] for _, headers, _ in post.receiver.got} == {
        str(one.id) for one in post.deliveries(theirs[ADMIN.account], ADMIN)
    }
    before = len(post.receiver.got)
    post.announce("ops")
    assert len(post.receiver.got) == before + 1
    with database.transaction() as session:
        assert [(one.state, one.disabled_reason) for one in post.owner(session, OPS).list()] == [("disabled", "closed")]


def test_a_webhook_that_a_closed_account_makes_with_a_key_it_still_has_hears_nothing(database: Database) -> None:
    post = Post(database, Scripted(OK))
    close(database, OPS)
    post.add(OPS)
    post.announce("ops")
    post.announce(str(OPS.account))
    assert post.receiver.got == []


def test_what_was_under_way_to_a_closed_account_has_failed(database: Database) -> None:
    post = Post(database, Scripted(FAILED))
    webhook = post.add()
    post.announce()
    close(database, QUANT)
    assert [(told.state, told.next_attempt_at) for told in post.deliveries(webhook.id)] == [("failed", None)]


def close(database: Database, who: Principal) -> None:
    """Close somebody's account."""
    with database.transaction() as session:
        account = AccountOut(id=who.account_id, name=who.name, role="ops" if who.is_ops else "quant")
        StandingService(session, DatabaseClock()).close(account, Ruling(reason="Gone."), ADMIN)


def told_of(database: Database, type_: str) -> list[tuple[str, dict[str, Any]]]:
    """Who is told of something, and what."""
    with database.transaction() as session:
        query = select(outbox.c.payload).where(outbox.c.type == type_)
        return [(payload["recipient"], payload["data"]) for payload in session.execute(query).scalars()]


def people() -> list[tuple[UUID | None, Principal]]:
    """Who has webhooks in the test above."""
    return [(who.account, who) for who in (QUANT, OPS, ADMIN)]


def test_what_was_deleted_is_told_no_more_not_even_what_was_under_way(database: Database) -> None:
    post = Post(database, Scripted(FAILED))
    webhook = post.add()
    post.announce()
    with database.transaction() as session:
        post.owner(session).remove(webhook.id)
    post.later()
    post.announce()
    assert len(post.receiver.got) == 1
    with database.transaction() as session:
        assert session.execute(select(Delivery.id)).scalars().all() == []  # type: ignore[call-overload]


def test_another_s_webhook_is_not_found(session: Session) -> None:
    mine = WebhookService(session, DatabaseClock(), SECRETS, QUANT)
    theirs = WebhookService(session, DatabaseClock(), SECRETS, OTHER)
    webhook = mine.add(URL).id
    for act in (theirs.remove, theirs.rotate, lambda id_: theirs.deliveries(id_, before=None, limit=1)):
        with pytest.raises(WebhookNotFound):
            act(webhook)
    with pytest.raises(DeliveryNotFound):
        mine.replay(webhook, webhook)
    assert theirs.list() == []


class Slow:
    """A receiver that is silent until told otherwise; who is there at once is counted."""

    def __init__(self) -> None:
        self.over = Flag()
        self.there: list[str] = []

    def post(self, url: str, headers: Mapping[str, str], body: str) -> Outcome:  # noqa: ARG002
        """Take a message, in time or not."""
        self.there.append(url)
        if url == URL:
            self.over.wait(20)
        return OK


def waited_for(database: Database, at_once: int, *, posts: int, over: int) -> tuple[list[str], list[tuple[str, int]]]:
    """Six messages to one account's silent receiver, then one to another's: who was posted to; what was put off."""
    receiver, quick = Slow(), f"{URL}/quick"
    service = DeliveryService(DatabaseClock(), SECRETS, receiver, at_once=at_once)
    errands: dict[str, Task] = {**tasks, DUE: Errand(service.attempt, LEASE)}
    for who, url, times in ((QUANT, URL, 6), (OTHER, quick, 1)):
        with database.transaction() as session:
            WebhookService(session, DatabaseClock(), SECRETS, who).add(url)
            for _ in range(times):
                publish(session, outbox, "access.decided", {"recipient": str(who.account), "data": {}})
    with ThreadPoolExecutor(4) as worker:
        for _ in range(2):  # the events, then the attempts
            with database.transaction() as session:
                events = take_due(session, outbox)
            work = [worker.submit(deliver, database, outbox, errands, event) for event, _ in events]
            if all(type_ != DUE for _, type_ in events):
                wait(work)
        until(lambda: len(receiver.there) >= posts and sum(one.done() for one in work) >= over, "the attempts")
        there = list(receiver.there)
        with database.transaction() as session:
            query = select(outbox.c.state, outbox.c.attempts).where(outbox.c.type == DUE, outbox.c.state == "pending")
            put_off = [(row[0], row[1]) for row in session.execute(query)]
        receiver.over.set()
    return there, put_off


def test_d4_one_account_s_receivers_that_hang_do_not_hold_all_threads(stores: Stores) -> None:
    with closing(Database(stores.app_url("entitlements"), pool_size=8)) as database:
        there, put_off = waited_for(database, 2, posts=3, over=5)
    assert (there.count(URL), there.count(f"{URL}/quick")) == (2, 1)
    assert put_off == [("pending", 0)] * 4


def test_d4_without_turns_they_do(stores: Stores) -> None:
    """The negative control of the test above."""
    with closing(Database(stores.app_url("entitlements"), pool_size=8)) as database:
        assert waited_for(database, 100, posts=4, over=0) == ([URL] * 4, [])


def test_ops_sees_and_stops_anybody_s_but_neither_reads_nor_turns_them(session: Session) -> None:
    mine = WebhookService(session, DatabaseClock(), SECRETS, QUANT)
    ops = WebhookService(session, DatabaseClock(), SECRETS, OPS)
    other = WebhookService(session, DatabaseClock(), SECRETS, OTHER)
    webhook = mine.add(URL).id
    assert [one.id for one in ops.list(QUANT.account)] == [webhook]
    assert (ops.list(), other.list(QUANT.account)) == ([], [])
    for act in (ops.rotate, lambda id_: ops.deliveries(id_, before=None, limit=1), other.remove):
        with pytest.raises(WebhookNotFound):
            act(webhook)
    ops.remove(webhook)
    assert mine.list() == []


def test_ten_are_enough(session: Session) -> None:
    mine = WebhookService(session, DatabaseClock(), SECRETS, QUANT)
    for _ in range(MOST):
        mine.add(URL)
    with pytest.raises(TooManyWebhooks):
        mine.add(URL)


@pytest.mark.parametrize("url", ["http://example.com", "https://127.0.0.1", "https://localhost"])
def test_a_target_that_is_never_spoken_to_is_refused_at_once(session: Session, url: str) -> None:
    with pytest.raises(InvalidInput):
        WebhookService(session, DatabaseClock(), SECRETS, QUANT).add(url)
