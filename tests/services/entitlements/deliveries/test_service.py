"""D4: what becomes of each event that is meant for a webhook."""

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import closing
from datetime import timedelta
from threading import Event as Flag
from typing import Any
from uuid import UUID

import pytest
import sqlmodel
from sqlalchemy import func, select, text, update
from standardwebhooks import Webhook as Verifier
from standardwebhooks.webhooks import WebhookVerificationError

from services.entitlements.database import outbox
from services.entitlements.deliveries.service import DISABLED, DeliveryService
from services.entitlements.deliveries.tasks import LEASE, tasks
from services.entitlements.webhooks.entities import Delivery, Webhook
from services.entitlements.webhooks.errors import WebhookDisabled
from services.entitlements.webhooks.events import TOLD
from services.entitlements.webhooks.repository import GIVEN_UP, WebhookRepository
from services.entitlements.webhooks.secrets import WebhookSecrets
from services.entitlements.webhooks.service import DUE, WebhookService
from services.entitlements.webhooks.source import Outcome
from shared.clock import DatabaseClock
from shared.database import Database
from shared.outbox import Errand, Task, deliver, publish, take_due
from shared.principal import Principal
from tests.conftest import Stores
from tests.services.entitlements.deliveries.post import (
    FAILED,
    OK,
    SECRETS,
    URL,
    Dying,
    Interrupted,
    Post,
    Scripted,
    close,
    told_of,
)
from tests.services.entitlements.fakes import ADMIN, OPS, OTHER, QUANT
from tests.world import until


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


def test_who_is_told_is_told_in_the_order_in_which_webhooks_are_disabled(database: Database) -> None:
    """Both hold one webhook after another: in different orders, each could wait for the other."""
    post = Post(database, Scripted(OK))
    made = post.add(OPS)
    with database.transaction() as session:
        earlier = session.scalars(sqlmodel.select(Webhook)).one().model_dump() | {"id": UUID(int=1)}
        session.add(Webhook.model_validate(earlier))
    for recipient, of_ops in ((str(OPS.account), False), ("ops", True)):
        with database.transaction() as session:
            heard = WebhookRepository(session).hearing(recipient, of_ops=of_ops)
            assert [webhook.id for webhook in heard] == [UUID(int=1), made.id]


def test_of_very_much_that_is_under_way_a_closing_fails_some_and_the_rest_fails_unsent_once_it_is_due(
    database: Database,
) -> None:
    post = Post(database, Scripted(FAILED))
    webhook = post.add()
    post.announce()
    with database.transaction() as session:
        session.execute(text(MANY), {"many": 2 * GIVEN_UP})
    close(database, QUANT)
    assert states(database) == {"failed": GIVEN_UP, "pending": GIVEN_UP + 1}
    assert post.deliveries(webhook.id)[0].state == "pending"
    post.later()
    assert (states(database), len(post.receiver.got)) == ({"failed": 2 * GIVEN_UP + 1}, 1)


MANY = """
    insert into entitlements.deliveries
        (id, webhook_id, event_id, type, body, created_at, state, round, tries, next_at)
    select lpad(to_hex(n), 32, '0')::uuid, webhook_id, gen_random_uuid(), type, body, created_at, state, 0, 0, next_at
    from entitlements.deliveries, generate_series(1, :many) as n
"""


def states(database: Database) -> dict[str, int]:
    """How many deliveries are in which state."""
    with database.transaction() as session:
        query = select(Delivery.state, func.count()).group_by(Delivery.state)  # type: ignore[call-overload]
        return {row[0]: row[1] for row in session.execute(query)}


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


def test_what_all_of_ops_is_told_goes_to_ops_webhooks_and_nobody_else_s(database: Database) -> None:
    post = Post(database, Scripted(OK))
    theirs = {who.account: post.add(who).id for who in (QUANT, OPS, ADMIN)}
    post.work()
    before = {account: len(post.deliveries(theirs[account], who)) for account, who in people()}
    post.announce("ops")
    told = {account: len(post.deliveries(theirs[account], who)) - before[account] for account, who in people()}
    assert told == {QUANT.account: 0, OPS.account: 1, ADMIN.account: 1}


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
    close(database, OPS)
    with database.transaction() as session:
        assert [(one.state, one.disabled_reason) for one in post.owner(session, OPS).list()] == [("disabled", "closed")]


def test_what_was_under_way_to_a_closed_account_has_failed(database: Database) -> None:
    post = Post(database, Scripted(FAILED))
    webhook = post.add()
    post.announce()
    close(database, QUANT)
    assert [(told.state, told.next_attempt_at) for told in post.deliveries(webhook.id)] == [("failed", None)]


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
