"""The way from an event to a receiver, in steps, and receivers that answer as told."""

from collections.abc import Callable, Mapping
from typing import Any
from uuid import UUID

from sqlalchemy import func, select, update
from sqlalchemy.orm import Session

from services.entitlements.accounts.schemas import AccountOut
from services.entitlements.database import outbox
from services.entitlements.deliveries.service import DeliveryService
from services.entitlements.deliveries.tasks import LEASE, tasks
from services.entitlements.standing.schemas import Ruling
from services.entitlements.standing.service import StandingService
from services.entitlements.webhooks.schemas import DeliveryOut, NewWebhookOut
from services.entitlements.webhooks.secrets import WebhookSecrets
from services.entitlements.webhooks.service import DUE, WebhookService
from services.entitlements.webhooks.source import Outcome
from shared.clock import DatabaseClock
from shared.database import Database
from shared.outbox import Errand, deliver, publish, take_due
from shared.principal import Principal
from tests.services.entitlements.fakes import ADMIN, QUANT

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


def told_of(database: Database, type_: str) -> list[tuple[str, dict[str, Any]]]:
    """Who is told of something, and what."""
    with database.transaction() as session:
        query = select(outbox.c.payload).where(outbox.c.type == type_)
        return [(payload["recipient"], payload["data"]) for payload in session.execute(query).scalars()]


def close(database: Database, who: Principal) -> None:
    """Close somebody's account."""
    with database.transaction() as session:
        account = AccountOut(id=who.account_id, name=who.name, role="ops" if who.is_ops else "quant")
        StandingService(session, DatabaseClock()).close(account, Ruling(reason="Gone."), ADMIN)
