"""What the owner of a webhook can do, and what Ops can."""

from datetime import datetime, timedelta

import pytest
from sqlalchemy.orm import Session
from sqlmodel import select

from services.entitlements.webhooks.entities import Webhook
from services.entitlements.webhooks.errors import DeliveryNotFound, TooManyWebhooks, WebhookNotFound
from services.entitlements.webhooks.events import TOLD
from services.entitlements.webhooks.secrets import WebhookSecrets
from services.entitlements.webhooks.service import ADDED, MOST, WebhookService
from shared.clock import DatabaseClock
from shared.errors import InvalidInput, TemporarilyUnavailable
from tests.services.entitlements.desk import Desk
from tests.services.entitlements.fakes import OPS, OTHER, QUANT, T0, SetClock

URL = "https://receiver.example.com/hook"
SECRETS = WebhookSecrets("a key only for tests")


def test_a_secret_is_kept_where_nobody_can_read_it(session: Session) -> None:
    secret = str(WebhookService(session, DatabaseClock(), SECRETS, QUANT).add(URL).secret)
    [kept] = session.scalars(select(Webhook.secret))
    assert secret.removeprefix("whsec_").encode() not in kept


def test_of_a_webhook_that_hears_what_ops_is_told_all_of_ops_is_told(desk: Desk) -> None:
    WebhookService(desk.session, DatabaseClock(), SECRETS, QUANT).add(URL)
    webhook = WebhookService(desk.session, DatabaseClock(), SECRETS, OPS).add(URL)
    whose = {"account": str(OPS.account), "account_name": OPS.name}
    assert desk.told(ADDED) == [{"recipient": "ops", "data": {"webhook": str(webhook.id), "url": URL, **whose}}]
    assert set(desk.told(ADDED)[0]["data"]) == set(TOLD[ADDED].data)


def test_without_a_key_there_are_no_webhooks(session: Session) -> None:
    with pytest.raises(TemporarilyUnavailable):
        WebhookService(session, DatabaseClock(), WebhookSecrets(""), QUANT).add(URL)


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


def test_ops_sees_and_stops_anybody_s_but_neither_reads_nor_turns_them(session: Session) -> None:
    mine = WebhookService(session, DatabaseClock(), SECRETS, QUANT)
    ops = WebhookService(session, DatabaseClock(), SECRETS, OPS)
    other = WebhookService(session, DatabaseClock(), SECRETS, OTHER)
    webhook = mine.add(URL).id
    assert [one.id for one in ops.list(QUANT.account)] == [webhook]
    other.add(URL)
    assert (ops.list(), other.list(QUANT.account)) == ([], [])
    assert other.list(OTHER.account) == other.list() != []
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


def test_an_old_secret_is_good_for_a_day_and_no_longer(session: Session) -> None:
    clock = SetClock()
    owner = WebhookService(session, clock, SECRETS, QUANT)
    rotated = owner.rotate(owner.add(URL).id)
    assert rotated.old_secret_until == T0 + timedelta(days=1)
    [[old]] = session.scalars(select(Webhook.old_secrets))
    assert datetime.fromisoformat(old["until"]) == T0 + timedelta(days=1)
