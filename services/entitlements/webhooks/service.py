"""What an owner does with webhooks, and what the worker does for them."""

import json
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Any
from uuid import UUID

import structlog
from sqlalchemy.orm import Session

from services.entitlements.database import audit_events, outbox
from services.entitlements.notifications.events import OPS, announce
from services.entitlements.webhooks.entities import Delivery, Webhook
from services.entitlements.webhooks.errors import DeliveryNotFound, TooManyWebhooks, WebhookDisabled, WebhookNotFound
from services.entitlements.webhooks.policy import OVERLAP, failing_from, fault_of, is_hopeless, pause_after, still_valid
from services.entitlements.webhooks.repository import WebhookRepository
from services.entitlements.webhooks.schemas import DeliveryOut, NewWebhookOut, WebhookOut
from services.entitlements.webhooks.secrets import SecretLost, WebhookSecrets
from services.entitlements.webhooks.source import Outcome, Receiver
from shared import audit
from shared.clock import Clock
from shared.database import Database
from shared.errors import invalid
from shared.ids import new_id
from shared.outbox import Event, Handler, publish
from shared.principal import Principal
from shared.turns import Turns
from shared.wire import instant_text

logger = structlog.get_logger(__name__)
MOST = 10
AT_ONCE = 2  # attempts of one account in one worker: whose receivers hang keeps others from nothing
DUE = "webhook.due"
ADDED = "webhook.added"
DISABLED = "webhook.disabled"
NOT_SIGNED = "not-signed"


class WebhookService:
    """One account's webhooks."""

    def __init__(
        self, session: Session, clock: Clock, secrets: WebhookSecrets, caller: Principal, *, anywhere: bool = False
    ) -> None:
        self._session = session
        self._clock = clock
        self._secrets = secrets
        self._caller = caller
        self._anywhere = anywhere
        self._webhooks = WebhookRepository(session)

    def add(self, url: str) -> NewWebhookOut:
        """Tell the account at this URL from now on; raises InvalidInput, TooManyWebhooks."""
        fault = fault_of(url, anywhere=self._anywhere)
        if fault:
            raise invalid("body", "/url", fault)
        if self._webhooks.count_one_more(self._caller.account_id) >= MOST:
            raise TooManyWebhooks
        id_ = new_id()
        secret, sealed = self._secrets.mint(id_)
        webhook = Webhook(
            id=id_,
            account=self._caller.account_id,
            hears_ops=self._caller.is_ops,
            url=url,
            secret=sealed,
            created_at=self._clock.now(self._session),
        )
        self._webhooks.add(webhook)
        self._record("webhook.added", webhook)
        if webhook.hears_ops:
            by = {"account": str(webhook.account), "account_name": self._caller.name}
            announce(self._session, ADDED, to=OPS, data={"webhook": str(id_), "url": url, **by})
        return _with_secret(webhook, secret)

    def remove(self, webhook: UUID) -> None:
        """Tell nothing there any more; Ops may stop anybody's. Raises WebhookNotFound."""
        found = _existing(self._webhooks.lock(webhook, self._reach))
        self._webhooks.remove(found)
        self._record("webhook.removed", found)

    def rotate(self, webhook: UUID) -> NewWebhookOut:
        """A new secret; for a day, messages are signed with the old one too. Raises WebhookNotFound.

        An answer that was lost leads to a second rotation: the secret that the receiver has is not the last one then.
        """
        found, now = self._own(webhook), self._clock.now(self._session)
        secret, sealed = self._secrets.mint(webhook)
        old = {"sealed": found.secret.hex(), "until": (now + OVERLAP).isoformat()}
        found.secret, found.old_secrets = sealed, [*still_valid(found.old_secrets, now), old]
        self._webhooks.flush()
        self._record("webhook.rotated", found)
        return _with_secret(found, secret, old_until=now + OVERLAP)

    def deliveries(self, webhook: UUID, *, before: UUID | None, limit: int) -> list[DeliveryOut]:
        """What was sent there, the latest first; raises WebhookNotFound."""
        _existing(self._webhooks.find(webhook, self._caller.account_id))
        return [_describe_delivery(one) for one in self._webhooks.deliveries(webhook, before=before, limit=limit)]

    def replay(self, webhook: UUID, delivery: UUID) -> DeliveryOut:
        """Send it again now, from the first try; raises WebhookNotFound, DeliveryNotFound, WebhookDisabled."""
        found = self._own(webhook)
        sent = self._webhooks.delivery(delivery, webhook)
        if sent is None:
            raise DeliveryNotFound
        if found.disabled_at is not None:
            raise WebhookDisabled(disabled_reason=found.disabled_reason)
        sent.state, sent.tries, sent.round = "pending", 0, sent.round + 1
        sent.next_at = self._clock.now(self._session)
        _schedule(self._session, sent, timedelta())
        self._webhooks.flush()
        return _describe_delivery(sent)

    def list(self, account: UUID | None = None) -> list[WebhookOut]:
        """The caller's webhooks, or, for Ops, those of the account asked for, oldest first."""
        whose = account if account is not None and self._caller.is_ops else self._caller.account_id
        return [_describe(webhook) for webhook in self._webhooks.of(whose)]

    def find(self, webhook: UUID) -> WebhookOut:
        """One of the caller's webhooks, or, for Ops, anybody's; raises WebhookNotFound."""
        return _describe(_existing(self._webhooks.find(webhook, self._reach)))

    @property
    def _reach(self) -> UUID | None:
        return None if self._caller.is_ops else self._caller.account_id

    def _own(self, webhook: UUID) -> Webhook:
        return _existing(self._webhooks.lock(webhook, self._caller.account_id))

    def _record(self, action: str, webhook: Webhook) -> None:
        audit.record(self._session, audit_events, actor=self._caller, action=action, subject=webhook.id, data={})


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
        found = _held(WebhookRepository(session), event)
        if found is None or not _is_due(found[0], event):
            return None
        (delivery, webhook), now = found, self._clock.now(session)
        old = still_valid(webhook.old_secrets, now)
        sealed = [webhook.secret, *(bytes.fromhex(one["sealed"]) for one in old)]
        return _Parcel(webhook.account, webhook.id, webhook.url, sealed, delivery.id, now, delivery.body)

    def _send(self, parcel: _Parcel) -> Outcome:
        what = {"id_": parcel.delivery, "at": parcel.at, "body": parcel.body}
        try:
            headers = self._secrets.headers(parcel.webhook, parcel.sealed, **what)
        except SecretLost:
            logger.exception("not signed", webhook=str(parcel.webhook))
            return Outcome(error=NOT_SIGNED)
        return self._receiver.post(parcel.url, headers, parcel.body)

    def _write_down(self, outcome: Outcome, session: Session, event: Event) -> None:
        webhooks = WebhookRepository(session)
        found = _held(webhooks, event)
        if found is None:
            return
        (delivery, webhook), now = found, self._clock.now(session)
        told = {"status": outcome.status, "error": outcome.error, "milliseconds": outcome.milliseconds}
        delivery.log = [*delivery.log, {"at": instant_text(now), **told}]
        if _is_due(delivery, event):  # else it was sent, but a replay or the webhook's end came in between
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
        _schedule(session, delivery, pause)


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
            _schedule(session, delivery, timedelta())


def disable_keyless(session: Session, account: UUID, now: datetime) -> None:
    """Nobody can come in as this account, or see what its webhooks hear, and it may be why its keys were revoked."""
    for webhook in WebhookRepository(session).disable_all(account, at=now, reason="no-key"):
        _tell_disabled(session, webhook, "no-key")


def _tell_disabled(session: Session, webhook: Webhook, reason: str) -> None:
    notice = {"webhook": str(webhook.id), "url": webhook.url, "reason": reason}
    announce(session, DISABLED, to=webhook.account, data=notice)


def _schedule(session: Session, delivery: Delivery, pause: timedelta) -> None:
    publish(session, outbox, DUE, {"delivery": str(delivery.id), "round": delivery.round}, after=pause)


def _held(webhooks: WebhookRepository, event: Event) -> tuple[Delivery, Webhook] | None:
    """What a due event is about, held until the transaction ends; None once the webhook is gone."""
    found = webhooks.delivery(UUID(event.payload["delivery"]))
    webhook = webhooks.lock(found.webhook_id) if found else None
    if found is None or webhook is None:
        return None
    if webhook.disabled_at is not None:
        webhooks.give_up(webhook.id)  # what was written while it was being disabled
    return webhooks.read_again(found), webhook


def _is_due(delivery: Delivery, event: Event) -> bool:
    """Whether no replay took its place, nor its webhook's end."""
    return delivery.state == "pending" and delivery.round == event.payload["round"]


def _existing(found: Webhook | None) -> Webhook:
    if found is None:
        raise WebhookNotFound
    return found


def _nothing(_session: Session, _event: Event) -> None:
    """It is not due any more."""


def _describe(webhook: Webhook) -> WebhookOut:
    return WebhookOut.model_validate(_facts(webhook))


def _with_secret(webhook: Webhook, secret: str, *, old_until: datetime | None = None) -> NewWebhookOut:
    return NewWebhookOut.model_validate({**_facts(webhook), "secret": secret, "old_secret_until": old_until})


def _facts(webhook: Webhook) -> dict[str, Any]:
    names = ("id", "url", "created_at", "disabled_at", "disabled_reason")
    state = "active" if webhook.disabled_at is None else "disabled"
    return {**{name: getattr(webhook, name) for name in names}, "state": state}


def _describe_delivery(delivery: Delivery) -> DeliveryOut:
    return DeliveryOut.model_validate(
        {
            **{name: getattr(delivery, name) for name in ("id", "type", "created_at", "state")},
            "event": delivery.event_id,
            "next_attempt_at": delivery.next_at,
            "attempts": delivery.log,
        }
    )
