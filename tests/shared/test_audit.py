"""An audit row says who did what to which thing, and stands or falls with the act."""

from collections.abc import Callable
from uuid import uuid4

import pytest
from sqlalchemy import select, text
from sqlalchemy.exc import ProgrammingError
from sqlalchemy.orm import Session

from shared import audit
from shared.principal import Principal
from tests.shared.ground import Ground, audit_events


def test_a_row_says_who_did_what_to_which_thing(ground: Ground) -> None:
    account, subject = uuid4(), uuid4()
    ops = Principal(role="ops", name="Grace", account=account, key="k123456789")
    with ground.database.transaction() as session:
        audit.record(session, audit_events, actor=ops, action="grant.revoked", subject=subject, data={"code": "abuse"})
        row = session.execute(select(audit_events)).one()

    assert (row.actor, row.action, row.subject) == (str(account), "grant.revoked", str(subject))
    assert row.data == {"code": "abuse"}
    assert row.at.tzinfo is not None
    assert "Grace" not in str(row)


def test_a_process_is_named(ground: Ground) -> None:
    scheduler = Principal(role="service", name="entitlements-scheduler")
    with ground.database.transaction() as session:
        audit.record(session, audit_events, actor=scheduler, action="grant.ended", subject="BTC", data={})

    assert ground.sql("select actor, subject from ground.audit_events") == [("entitlements-scheduler", "BTC")]


def test_a_row_is_undone_with_the_act_it_records(ground: Ground) -> None:
    caller = Principal(role="ops", name="Grace", account=uuid4())
    with pytest.raises(LookupError), ground.database.transaction() as session:  # noqa: PT012
        audit.record(session, audit_events, actor=caller, action="x", subject="y", data={})
        raise LookupError

    assert ground.sql("select * from ground.audit_events") == []


@pytest.mark.parametrize(
    "change",
    [
        "update catalog.audit_events set actor = 'x'",
        "delete from catalog.audit_events",
        "truncate catalog.audit_events",
    ],
)
def test_the_app_role_may_not_change_a_row(change: str, session_as: Callable[[str], Session]) -> None:
    with pytest.raises(ProgrammingError, match="permission denied"):
        session_as("catalog").execute(text(change))
