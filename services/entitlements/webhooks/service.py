"""What an owner does with webhooks."""

from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy.orm import Session

from services.entitlements.database import audit_events, outbox
from services.entitlements.notifications.events import OPS, announce
from services.entitlements.webhooks.entities import Delivery, Webhook
from services.entitlements.webhooks.errors import DeliveryNotFound, TooManyWebhooks, WebhookDisabled, WebhookNotFound
from services.entitlements.webhooks.policy import OVERLAP, fault_of, still_valid
from services.entitlements.webhooks.repository import WebhookRepository
from services.entitlements.webhooks.schemas import DeliveryOut, NewWebhookOut, WebhookOut
from services.entitlements.webhooks.secrets import WebhookSecrets
from shared import audit
from shared.clock import Clock
from shared.errors import invalid
from shared.ids import new_id
from shared.outbox import publish
from shared.principal import Principal

MOST = 10
DUE = "webhook.due"
ADDED = "webhook.added"
NONE = timedelta()


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
        schedule(self._session, sent)
        self._webhooks.flush()
        return _describe_delivery(sent)

    def list(self, account: UUID | None = None) -> list[WebhookOut]:
        """The caller's webhooks, or those of the account asked for, oldest first; only Ops sees any of another's."""
        whose = self._caller.account_id if account is None else account
        if self._reach not in (None, whose):
            return []
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


def schedule(session: Session, delivery: Delivery, pause: timedelta = NONE) -> None:
    """Let a delivery be attempted after a pause."""
    publish(session, outbox, DUE, {"delivery": str(delivery.id), "round": delivery.round}, after=pause)


def _existing(found: Webhook | None) -> Webhook:
    if found is None:
        raise WebhookNotFound
    return found


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
