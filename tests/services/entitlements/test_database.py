"""What the database itself refuses to the entitlements' app role."""

from datetime import datetime
from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy import insert, text
from sqlalchemy.exc import IntegrityError, ProgrammingError
from sqlalchemy.orm import Session

from services.entitlements.grants.entities import Grant
from services.entitlements.requests.entities import AccessRequest, RequestItem
from tests.services.entitlements.desk import Desk
from tests.services.entitlements.fakes import DAY, T0

FORBIDDEN = [
    "update entitlements.audit_events set actor = 'nobody'",
    "delete from entitlements.audit_events",
    "truncate entitlements.audit_events",
    "alter table entitlements.audit_events disable trigger append_only",
    "drop table entitlements.audit_events",
    "create table entitlements.more (id int)",
    "create table public.more (id int)",
    "select * from catalog.datasets",
    "delete from catalog.datasets",
    "update entitlements.migrations set version_num = '0000'",
]


@pytest.mark.parametrize("statement", FORBIDDEN)
def test_the_app_role_may_not(desk: Desk, session: Session, statement: str) -> None:
    desk.ask("1d")
    with pytest.raises(ProgrammingError, match=r"permission denied|must be owner"), session.begin_nested():
        session.execute(text(statement))


def write(session: Session, table: type, **values: Any) -> None:
    with session.begin_nested():
        session.execute(insert(table).values(id=uuid4(), account=ACCOUNT, dataset="BTC", **values))


ACCOUNT, SOMEBODY = uuid4(), uuid4()
GRANT: dict[str, Any] = {
    "frequency": "1d",
    "kind": "standard",
    "origin": "ops",
    "starts_at": T0,
    "ends_at": T0 + DAY,
    "created_at": T0,
    "granted_by": SOMEBODY,
}
ITEM: dict[str, Any] = {"frequency": "1d", "status": "pending", "lapse_at": T0}
CLOSED: dict[str, datetime | str] = {"closed_at": T0, "close_reason": "revoked"}


@pytest.mark.parametrize(
    ("wrong", "constraint"),
    [
        ({"granted_by": ACCOUNT}, "self_decision"),
        ({"closed_at": T0}, "closing"),
        ({"close_reason": "revoked"}, "closing"),
        ({**CLOSED, "close_reason": "bored"}, "close_reason"),
        ({"ends_at": T0}, "term"),
        ({"ends_at": T0 - DAY}, "term"),
        ({"kind": "trial", "ends_at": None}, "trial_ends"),
        ({"kind": "gift"}, "kind"),
        ({"origin": "luck"}, "origin"),
    ],
)
def test_a_grant_that_makes_no_sense_is_refused(session: Session, wrong: dict[str, Any], constraint: str) -> None:
    with pytest.raises(IntegrityError, match=f"ck_grants_{constraint}"):
        write(session, Grant, **{**GRANT, **wrong})


def test_a_cell_has_one_unclosed_grant_and_any_number_of_closed_ones(session: Session) -> None:
    write(session, Grant, **GRANT)
    write(session, Grant, **GRANT, **CLOSED)
    write(session, Grant, **GRANT, **CLOSED)
    with pytest.raises(IntegrityError, match="uq_grants_unclosed"):
        write(session, Grant, **GRANT)


@pytest.mark.parametrize(
    ("wrong", "constraint"),
    [
        ({"status": "refused", "decided_at": T0, "decided_by": ACCOUNT}, "self_decision"),
        ({"status": "pending", "decided_by": ACCOUNT}, "self_decision"),
        ({"status": "refused"}, "decided"),
        ({"status": "pending", "decided_at": T0}, "decided"),
        ({"status": "approved", "decided_at": T0}, "grant"),
        ({"status": "perhaps"}, "status|decided"),
        ({"outcome_by": "chance"}, "outcome_by"),
    ],
)
def test_an_item_that_makes_no_sense_is_refused(session: Session, wrong: dict[str, Any], constraint: str) -> None:
    request = AccessRequest(id=uuid4(), account=ACCOUNT, dataset="BTC", trial=False, created_at=T0, lapse_at=T0)
    session.execute(insert(AccessRequest).values(request.model_dump()))
    with pytest.raises(IntegrityError, match=f"ck_request_items_({constraint})"):
        write(session, RequestItem, **{**ITEM, "request_id": request.id, **wrong})
