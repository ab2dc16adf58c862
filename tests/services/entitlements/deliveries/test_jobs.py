"""Webhooks that hear what Ops is told end with the last key of their account; old deliveries are deleted."""

from datetime import timedelta
from uuid import UUID

import pytest
import sqlmodel
from sqlalchemy import func, select, update

from services.entitlements.database import outbox
from services.entitlements.deliveries.jobs import end_keyless, fail_abandoned, sweep_deliveries
from services.entitlements.settings import EntitlementsSettings
from services.entitlements.webhooks.entities import Delivery
from services.entitlements.webhooks.repository import KEPT
from services.entitlements.webhooks.schemas import WebhookOut
from services.entitlements.webhooks.secrets import WebhookSecrets
from services.entitlements.webhooks.service import DUE, WebhookService
from shared.backlog import replay
from shared.clock import DatabaseClock
from shared.database import Database
from shared.principal import Principal
from shared.settings import ServiceSettings
from tests.conftest import Stores
from tests.services.entitlements.conftest import FAKES
from tests.services.entitlements.deliveries.post import FAILED, OK, Post, Scripted, close
from tests.services.entitlements.fakes import KEYLESS, OPS, QUANT

NOWHERE = "http://127.0.0.1:1"


def webhooks(database: Database, who: Principal, url: str = "") -> list[WebhookOut]:
    """Somebody's webhooks, one more than before if there is a URL."""
    with database.transaction() as session:
        owner = WebhookService(session, DatabaseClock(), WebhookSecrets("a key only for tests"), who)
        if url:
            owner.add(url)
        return owner.list()


@pytest.mark.parametrize(("keys_url", "reason"), [(FAKES, "no-key"), (NOWHERE, None)])
def test_without_a_usable_key_ops_hears_nothing_and_while_that_is_unknown_nothing_changes(
    database: Database, stores: Stores, key_pair: tuple[str, str], keys_url: str, reason: str | None
) -> None:
    quant = Principal(role="quant", name="Quentin", account=UUID(int=7), key="key")
    for who in (KEYLESS, KEYLESS, OPS, QUANT, quant):
        webhooks(database, who, "https://receiver.example.com/hook")
    settings = EntitlementsSettings(
        entitlements_database_url=stores.app_url("entitlements"),
        keys_url=keys_url,
        identity_private_key=key_pair[0],
        cursor_secret="only-for-these-tests",
    )
    for _ in range(2):
        end_keyless(settings, database)
    assert [one.disabled_reason for one in webhooks(database, KEYLESS)] == [reason] * 2
    for who in (OPS, QUANT, quant):
        assert [one.state for one in webhooks(database, who)] == ["active"]


def abandoned(database: Database) -> tuple[Post, UUID]:
    """Two deliveries that failed once and wait, and of the first the next attempt killed its workers."""
    post = Post(database, Scripted(FAILED, FAILED, OK))
    webhook = post.add().id
    for _ in range(2):
        post.announce()
    with database.transaction() as session:
        first = (
            select(outbox.c.id).where(outbox.c.type == DUE, outbox.c.state == "pending").order_by(outbox.c.id).limit(1)
        )
        session.execute(update(outbox).where(outbox.c.id == first.scalar_subquery()).values(state="dead", attempts=5))
    for _ in range(2):
        fail_abandoned(ServiceSettings.model_construct(), database)
    assert log(post, webhook) == [("pending", [500]), ("failed", [500, "given-up"])]
    return post, webhook


def log(post: Post, webhook: UUID) -> list[tuple[str, list[int | str | None]]]:
    """State and attempts of the deliveries, the latest first."""
    return [
        (one.state, [attempt.status or attempt.error for attempt in one.attempts]) for one in post.deliveries(webhook)
    ]


def replayed(post: Post) -> int:
    """What the operator lets be tried again."""
    with post.database.transaction() as session:
        return replay(session, outbox)


def test_a_delivery_whose_attempt_was_given_up_has_failed_and_its_owner_can_replay_it(database: Database) -> None:
    post, webhook = abandoned(database)
    [_, given_up] = post.deliveries(webhook)
    assert given_up.next_attempt_at is None
    with database.transaction() as session:
        post.owner(session).replay(webhook, given_up.id)
    post.work()
    delivered = [500, "given-up", 200]
    assert log(post, webhook)[1] == ("delivered", delivered)
    assert replayed(post) == 1
    post.work()
    assert log(post, webhook)[1] == ("delivered", delivered)


def test_it_goes_on_where_the_operator_replays_its_event(database: Database) -> None:
    post, webhook = abandoned(database)
    assert replayed(post) == 1
    post.work()
    assert log(post, webhook)[1] == ("delivered", [500, "given-up", 200])


def test_it_does_not_where_its_webhook_was_disabled_meanwhile(database: Database) -> None:
    post, webhook = abandoned(database)
    close(database, QUANT)
    assert replayed(post) == 1
    post.work()
    assert log(post, webhook)[1] == ("failed", [500, "given-up"])


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
