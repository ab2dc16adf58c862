"""What the worker is given to do, with the settings that it has in production unless somebody changes them."""

from collections.abc import Iterator
from contextlib import closing
from typing import Any

import pytest

from services.entitlements.database import outbox
from services.entitlements.deliveries.tasks import LEASE
from services.entitlements.module import module
from services.entitlements.settings import EntitlementsSettings
from services.entitlements.webhooks.schemas import DeliveryOut
from services.entitlements.webhooks.service import WebhookService
from services.entitlements.webhooks.source import READ, TOTAL
from shared.clock import DatabaseClock
from shared.database import Database
from shared.outbox import deliver, publish, take_due
from tests.conftest import Stores
from tests.services.entitlements.deliveries.post import SECRETS
from tests.services.entitlements.fakes import QUANT
from tests.services.entitlements.webhooks.receivers import Listener

MESSAGES = 8


@pytest.fixture
def listener() -> Iterator[Listener]:
    """Whoever comes is seen."""
    with closing(Listener()) as listener:
        yield listener


def worked(database: Database, settings: EntitlementsSettings, url: str) -> list[DeliveryOut]:
    """Some messages to a webhook there, which was taken at a time when any was; what became of them."""
    with database.transaction() as session:
        owner = WebhookService(session, DatabaseClock(), SECRETS, QUANT, anywhere=True)
        webhook = owner.add(url).id
        for _ in range(MESSAGES):
            publish(session, outbox, "access.decided", {"recipient": str(QUANT.account), "data": {}})
    tasks = module.all_tasks(settings)
    for _ in range(2):  # the events, then the attempts
        with database.transaction() as session:
            events = take_due(session, outbox)
        for event, _ in events:
            deliver(database, outbox, tasks, event)
    with database.transaction() as session:
        owner = WebhookService(session, DatabaseClock(), SECRETS, QUANT)
        return owner.deliveries(webhook, before=None, limit=MESSAGES)


def settings(stores: Stores, key: str, **others: Any) -> EntitlementsSettings:
    """What has to be said, and nothing else."""
    return EntitlementsSettings(
        entitlements_database_url=stores.app_url("entitlements"),
        webhook_key="a key only for tests",
        identity_private_key=key,
        cursor_secret="only-for-these-tests",
        **others,
    )


def test_d5_the_worker_speaks_to_nobody_in_our_network_and_tries_again_at_times_that_vary(
    database: Database, stores: Stores, key_pair: tuple[str, str], listener: Listener
) -> None:
    told = worked(database, settings(stores, key_pair[0]), f"https://127.0.0.1:{listener.port}/")
    assert [attempt.error for one in told for attempt in one.attempts] == ["target-refused"] * MESSAGES
    assert listener.connections == 0
    pauses = [(one.next_attempt_at - one.attempts[0].at).total_seconds() for one in told if one.next_attempt_at]
    assert (len(pauses), min(pauses) >= 4, max(pauses) <= 6) == (MESSAGES, True, True)
    assert max(pauses) - min(pauses) > 0.1


def test_d5_a_worker_that_may_speak_to_any_does(
    database: Database, stores: Stores, key_pair: tuple[str, str], listener: Listener
) -> None:
    """The negative control of the test above."""
    worked(database, settings(stores, key_pair[0], webhooks_anywhere=True), f"https://127.0.0.1:{listener.port}/")
    assert listener.connections == MESSAGES


def test_d4_an_attempt_takes_fifteen_seconds_at_most_and_there_is_time_to_write_it_down() -> None:
    assert (TOTAL, READ) == (15.0, 65536)
    assert LEASE.total_seconds() >= 2 * TOTAL
