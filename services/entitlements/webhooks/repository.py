"""Reads and writes the rows of webhooks and deliveries."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import sqlalchemy
from sqlalchemy import Uuid, and_, delete, exists, func, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session
from sqlmodel import col, select
from sqlmodel.sql.expression import SelectOfScalar

from services.entitlements.accounts.entities import Account
from services.entitlements.database import outbox
from services.entitlements.webhooks.entities import Delivery, Webhook

KEPT = timedelta(days=30)
SWEPT = 100
GIVEN_UP = 1000


class WebhookRepository:
    """The webhooks in one transaction."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def add(self, webhook: Webhook) -> None:
        """Write a new webhook."""
        self._session.add(webhook)
        self._session.flush()

    def of(self, account: UUID) -> Sequence[Webhook]:
        """An account's webhooks, oldest first."""
        return self._session.scalars(select(Webhook).where(Webhook.account == account).order_by(col(Webhook.id))).all()

    def count_one_more(self, account: UUID) -> int:
        """How many an account has; until the transaction ends nobody else counts for it."""
        self._session.execute(select(func.pg_advisory_xact_lock(func.hashtextextended(str(account), 0))))
        query = select(func.count()).select_from(Webhook).where(Webhook.account == account)
        return self._session.execute(query).scalar_one()

    def find(self, webhook: UUID, account: UUID | None) -> Webhook | None:
        """The webhook, if it is the account's, or whoever's it is."""
        return self._session.scalars(_one(webhook, account)).first()

    def lock(self, webhook: UUID, account: UUID | None = None) -> Webhook | None:
        """The same, held until the transaction ends."""
        return self._session.scalars(_one(webhook, account).with_for_update()).first()

    def disable_all(self, account: UUID, *, at: datetime, reason: str) -> Sequence[Webhook]:
        """Tell an account's webhooks nothing any more; those that were told something."""
        theirs = select(Webhook).where(Webhook.account == account, col(Webhook.disabled_at).is_(None))
        working = self._session.scalars(theirs.order_by(col(Webhook.id)).with_for_update()).all()
        for webhook in working:
            self.disable(webhook, at=at, reason=reason)
        return working

    def accounts_of_ops(self) -> Sequence[UUID]:
        """Whose working webhooks hear what all of Ops is told."""
        query = select(Webhook.account).where(col(Webhook.hears_ops), col(Webhook.disabled_at).is_(None)).distinct()
        return self._session.scalars(query).all()

    def disable(self, webhook: Webhook, *, at: datetime, reason: str) -> None:
        """Tell it nothing any more, nor what was under way."""
        webhook.disabled_at, webhook.disabled_reason = at, reason
        self._session.flush()
        self.give_up(webhook.id)

    def give_up(self, webhook: UUID) -> None:
        """Let what a webhook has not taken be failed, the oldest of it: a transaction has little time."""
        pending = select(Delivery.id).where(Delivery.webhook_id == webhook, Delivery.state == "pending")
        some = col(Delivery.id).in_(pending.order_by(col(Delivery.id)).limit(GIVEN_UP))
        self._session.execute(update(Delivery).where(some).values(state="failed", next_at=None))

    def remove(self, webhook: Webhook) -> None:
        """Delete it, with what was sent to it."""
        self._session.delete(webhook)
        self._session.flush()

    def hearing(self, recipient: str, *, of_ops: bool) -> Sequence[Webhook]:
        """The working webhooks of an account, or those that hear what all of Ops is told; none of a closed account."""
        whose = col(Webhook.hears_ops) if of_ops else Webhook.account == UUID(recipient)
        closed = exists().where(col(Account.id) == col(Webhook.account), col(Account.standing) == "closed")
        query = select(Webhook).where(whose, col(Webhook.disabled_at).is_(None), ~closed)
        return self._session.scalars(query.order_by(col(Webhook.id))).all()  # held in turn, as by disable_all

    def add_delivery(self, delivery: Delivery) -> bool:
        """Write a delivery; false when the webhook has one of this event."""
        written = insert(Delivery).values(delivery.model_dump()).on_conflict_do_nothing().returning(col(Delivery.id))
        return self._session.execute(written).first() is not None

    def delivery(self, delivery: UUID, webhook: UUID | None = None) -> Delivery | None:
        """A delivery, if it is the webhook's."""
        found = self._session.get(Delivery, delivery)
        return found if found is not None and webhook in (None, found.webhook_id) else None

    def read_again(self, delivery: Delivery) -> Delivery:
        """The delivery as it is, now that its webhook is held."""
        self._session.refresh(delivery)
        return delivery

    def deliveries(self, webhook: UUID, *, before: UUID | None, limit: int) -> Sequence[Delivery]:
        """What was sent to a webhook, the latest first."""
        query = select(Delivery).where(Delivery.webhook_id == webhook)
        if before is not None:
            query = query.where(col(Delivery.id) < before)
        return self._session.scalars(query.order_by(col(Delivery.id).desc()).limit(limit)).all()

    def sweep(self, now: datetime) -> int:
        """Delete some of what was over a month ago; how much."""
        old = select(Delivery.id).where(Delivery.state != "pending", col(Delivery.created_at) < now - KEPT)
        old = old.limit(SWEPT).with_for_update(skip_locked=True)
        gone = delete(Delivery).where(col(Delivery.id).in_(old)).returning(col(Delivery.id))
        return len(self._session.execute(gone).all())

    def abandoned(self, due: str) -> Sequence[Mapping[str, Any]]:
        """What the events of type `due` that were given up are about, where it still waits; some."""
        about = outbox.c.payload
        is_about = and_(
            col(Delivery.id) == about["delivery"].astext.cast(Uuid), col(Delivery.round) == about["round"].as_integer()
        )
        dead = (outbox.c.state == "dead", outbox.c.type == due, col(Delivery.state) == "pending")
        return self._session.scalars(sqlalchemy.select(about).join(Delivery, is_about).where(*dead).limit(SWEPT)).all()

    def flush(self) -> None:
        """Write what was changed."""
        self._session.flush()


def _one(webhook: UUID, account: UUID | None) -> SelectOfScalar[Webhook]:
    query = select(Webhook).where(Webhook.id == webhook)
    return query if account is None else query.where(Webhook.account == account)
