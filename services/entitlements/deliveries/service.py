"""What the worker does for webhooks."""

import json
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Any
from uuid import UUID

import structlog
from sqlalchemy.orm import Session

from services.entitlements.notifications.events import OPS, announce
from services.entitlements.webhooks.entities import Delivery, Webhook
from services.entitlements.webhooks.policy import failing_from, is_hopeless, pause_after, still_valid
from services.entitlements.webhooks.repository import WebhookRepository
from services.entitlements.webhooks.secrets import SecretLost, WebhookSecrets
from services.entitlements.webhooks.service import schedule
from services.entitlements.webhooks.source import Outcome, Receiver
from shared.clock import Clock
from shared.database import Database
from shared.ids import new_id
from shared.outbox import Event, Handler
from shared.turns import Turns
from shared.wire import instant_text

logger = structlog.get_logger(__name__)
AT_ONCE = 2  # attempts of one account in one worker, so that one account cannot hold all threads
DISABLED = "webhook.disabled"
NOT_SIGNED = "not-signed"
GIVEN_UP = "given-up"


@dataclass(frozen=True)
class _Parcel:
    account: UUID
    webhook: UUID
    url: str
    sealed: Sequence[bytes]
    delivery: UUID
    at: datetime
    body: str


class DeliveryService:
    """Brings events to webhooks, `at_once` of an account; `chance` spreads the tries."""

    def __init__(
        self,
        clock: Clock,
        secrets: WebhookSecrets,
        receiver: Receiver,
        *,
        chance: Callable[[], float] = random.random,
        at_once: int = AT_ONCE,
    ) -> None:
        self._clock = clock
        self._secrets = secrets
        self._receiver = receiver
        self._chance = chance
        self._turns = Turns(at_once)

    def attempt(self, database: Database, event: Event) -> Handler:
        """One try, without a transaction; what came of it is then written down. Raises NotNow."""
        with database.transaction() as session:
            parcel = self._pack(session, event)
        if parcel is None:
            return _nothing
        with self._turns.take(parcel.account):
            return partial(self._write_down, self._send(parcel))

    def _pack(self, session: Session, event: Event) -> _Parcel | None:
        found = _taken_up(WebhookRepository(session), event.payload)
        if found is None or not _is_due(found[0], event.payload):
            return None
        (delivery, webhook), now = found, self._clock.now(session)
        old = still_valid(webhook.old_secrets, now)
        sealed = [webhook.secret, *(bytes.fromhex(one["sealed"]) for one in old)]
        return _Parcel(webhook.account, webhook.id, webhook.url, sealed, delivery.id, now, delivery.body)

    def _send(self, parcel: _Parcel) -> Outcome:
        try:
            headers = self._secrets.headers(
                parcel.webhook, parcel.sealed, id_=parcel.delivery, at=parcel.at, body=parcel.body
            )
        except SecretLost:
            logger.exception("not signed", webhook=str(parcel.webhook))
            return Outcome(error=NOT_SIGNED)
        return self._receiver.post(parcel.url, headers, parcel.body)

    def _write_down(self, outcome: Outcome, session: Session, event: Event) -> None:
        webhooks = WebhookRepository(session)
        found = _taken_up(webhooks, event.payload)
        if found is None:
            return
        (delivery, webhook), now = found, self._clock.now(session)
        _log(delivery, outcome, now)
        if _is_due(delivery, event.payload):  # else it was sent, but a replay or the webhook's end came in between
            self._settle(session, webhooks, delivery, webhook, outcome, now)
        webhooks.flush()

    def _settle(
        self,
        session: Session,
        webhooks: WebhookRepository,
        delivery: Delivery,
        webhook: Webhook,
        outcome: Outcome,
        now: datetime,
    ) -> None:
        """It is delivered, or goes on."""
        delivery.tries, delivery.next_at = delivery.tries + 1, None
        if outcome.is_success:
            delivery.state, webhook.failing_since = "delivered", None
        else:
            if outcome.error != NOT_SIGNED:  # which is no failure of the receiver's
                webhook.failing_since = failing_from(webhook.failing_since, webhook.failed_at, now)
                webhook.failed_at = now
            self._go_on(session, webhooks, delivery, webhook, outcome, now)

    def _go_on(
        self,
        session: Session,
        webhooks: WebhookRepository,
        delivery: Delivery,
        webhook: Webhook,
        outcome: Outcome,
        now: datetime,
    ) -> None:
        """After a failure: try again later, or no more."""
        reason = "gone" if outcome.status == 410 else None
        if reason is None and is_hopeless(webhook.failing_since, webhook.failed_at):
            reason = "failing"
        pause = pause_after(delivery.tries, chance=self._chance(), asked=outcome.retry_after)
        if reason:
            webhooks.disable(webhook, at=now, reason=reason)
            _tell_disabled(session, webhook, reason)
        if reason or pause is None:
            delivery.state = "failed"
            return
        delivery.next_at = now + pause
        schedule(session, delivery, pause)


def send_to_webhooks(session: Session, event: Event) -> None:
    """In the event's own transaction: one delivery for each working webhook of its recipient, due at once."""
    webhooks, recipient = WebhookRepository(session), event.payload["recipient"]
    said = {"type": event.type, "timestamp": instant_text(event.created_at), "data": event.payload["data"]}
    for webhook in webhooks.hearing(recipient, of_ops=recipient == OPS):
        delivery = Delivery(
            id=new_id(),
            webhook_id=webhook.id,
            event_id=event.id,
            type=event.type,
            body=json.dumps(said, separators=(",", ":")),
            created_at=event.created_at,
            state="pending",
            next_at=event.created_at,
        )
        if webhooks.add_delivery(delivery):
            schedule(session, delivery)


def disable_keyless(session: Session, account: UUID, now: datetime) -> None:
    """Nobody can come in as this account, or see what its webhooks hear, and it may be why its keys were revoked."""
    for webhook in WebhookRepository(session).disable_all(account, at=now, reason="no-key"):
        _tell_disabled(session, webhook, "no-key")


def _tell_disabled(session: Session, webhook: Webhook, reason: str) -> None:
    notice = {"webhook": str(webhook.id), "url": webhook.url, "reason": reason}
    announce(session, DISABLED, to=webhook.account, data=notice)


def give_up(session: Session, due: Mapping[str, Any], now: datetime) -> None:
    """No attempt follows, as its event was given up: the worker died of it, say. Its owner sees it, and may replay."""
    found = _held(WebhookRepository(session), due)
    if found is not None and _is_due(found[0], due):
        found[0].state, found[0].next_at = "failed", None
        _log(found[0], Outcome(error=GIVEN_UP), now)


def _log(delivery: Delivery, outcome: Outcome, now: datetime) -> None:
    told = {"status": outcome.status, "error": outcome.error, "milliseconds": outcome.milliseconds}
    delivery.log = [*delivery.log, {"at": instant_text(now), **told}]


def _held(webhooks: WebhookRepository, due: Mapping[str, Any]) -> tuple[Delivery, Webhook] | None:
    """What a due event is about, held until the transaction ends; None once the webhook is gone."""
    found = webhooks.delivery(UUID(due["delivery"]))
    webhook = webhooks.lock(found.webhook_id) if found else None
    if found is None or webhook is None:
        return None
    delivery = webhooks.read_again(found)
    if webhook.disabled_at is not None and delivery.state == "pending":
        delivery.state, delivery.next_at = "failed", None
        webhooks.give_up(webhook.id)  # what was too much at once, or was written while it was being disabled
    return delivery, webhook


def _taken_up(webhooks: WebhookRepository, due: Mapping[str, Any]) -> tuple[Delivery, Webhook] | None:
    """The same, for an attempt: what was given up goes on, now that its event does."""
    found = _held(webhooks, due)
    if found is not None and found[1].disabled_at is None and _is_given_up(found[0], due):
        found[0].state = "pending"
    return found


def _is_given_up(delivery: Delivery, due: Mapping[str, Any]) -> bool:
    last = delivery.log[-1]["error"] if delivery.log else None
    return (delivery.state, delivery.round, last) == ("failed", due["round"], GIVEN_UP)


def _is_due(delivery: Delivery, due: Mapping[str, Any]) -> bool:
    """Whether no replay took its place, nor its webhook's end."""
    return delivery.state == "pending" and delivery.round == due["round"]


def _nothing(_session: Session, _event: Event) -> None:
    """It is not due any more."""
