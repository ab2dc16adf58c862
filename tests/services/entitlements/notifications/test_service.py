"""One's inbox, and what all of Ops is told."""

from uuid import uuid4

import pytest
from sqlalchemy.orm import Session

from services.entitlements.notifications.errors import NotificationNotFound
from services.entitlements.notifications.repository import NotificationRepository
from services.entitlements.notifications.schemas import NotificationOut
from services.entitlements.notifications.service import InboxService
from shared.principal import Principal
from tests.services.entitlements.fakes import ADMIN, DAY, OPS, OTHER, QUANT, T0, SetClock


def tell(session: Session, recipient: Principal | str) -> None:
    to = recipient if isinstance(recipient, str) else str(recipient.account)
    NotificationRepository(session).add(
        event_id=uuid4(), recipient=to, type_="access.decided", data={"to": to}, created_at=T0
    )


def page(inbox: InboxService, *, unread: bool = False) -> list[NotificationOut]:
    return inbox.page(after=None, unread=unread, limit=10)


def test_everybody_reads_their_own_and_ops_also_what_ops_is_told(session: Session, clock: SetClock) -> None:
    for recipient in (QUANT, "ops", OPS):
        tell(session, recipient)
    seen = {who: [n.data["to"] for n in page(InboxService(session, clock, who))] for who in (QUANT, OPS, ADMIN, OTHER)}
    assert seen == {
        QUANT: [str(QUANT.account)],
        OPS: ["ops", str(OPS.account)],
        ADMIN: ["ops"],
        OTHER: [],
    }


def test_a_mark_is_one_account_s_own_and_the_first_stays(session: Session, clock: SetClock) -> None:
    tell(session, "ops")
    mine, theirs = InboxService(session, clock, OPS), InboxService(session, clock, ADMIN)
    [told] = page(mine, unread=True)
    assert mine.mark_read(told.id).read_at == T0
    clock.at += DAY
    assert mine.mark_read(told.id).read_at == T0
    assert page(mine, unread=True) == []
    assert [n.read_at for n in page(mine) + page(theirs, unread=True)] == [T0, None]


def test_another_s_notification_cannot_be_marked(session: Session, clock: SetClock) -> None:
    tell(session, QUANT)
    [told] = page(InboxService(session, clock, QUANT))
    for stranger in (OTHER, OPS):
        with pytest.raises(NotificationNotFound):
            InboxService(session, clock, stranger).mark_read(told.id)


def test_pages_go_on_after_the_last_one_seen(session: Session, clock: SetClock) -> None:
    for _ in range(3):
        tell(session, QUANT)
    inbox = InboxService(session, clock, QUANT)
    first = inbox.page(after=None, unread=False, limit=2)
    rest = inbox.page(after=first[-1].id, unread=False, limit=2)
    assert [n.id for n in first + rest] == [n.id for n in page(inbox)]
    assert len(rest) == 1
