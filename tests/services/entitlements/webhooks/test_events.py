"""What is told is what is described: the same types, and in each message the members that its type has."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

import services.entitlements
from services.entitlements.database import outbox
from services.entitlements.deliveries.service import DISABLED
from services.entitlements.retirements.schemas import Retiring
from services.entitlements.rules.schemas import NewRules
from services.entitlements.standing.schemas import Ruling
from services.entitlements.webhooks.events import TOLD
from services.entitlements.webhooks.service import ADDED
from tests.services.entitlements.desk import Desk
from tests.services.entitlements.fakes import ADMIN, DAY, T0, SetClock

WHY = Ruling(reason="Settled")
SOURCES = list(Path(services.entitlements.__file__).parent.rglob("*.py"))
SAID = re.compile(r'\bannounce\(\s*\w+(?:\.\w+)*,\s*"([a-z.]+)"')
ELSEWHERE = (ADDED, DISABLED)  # what webhooks say of themselves: in test_service
Doing = Callable[[Desk, SetClock], object]


def _approved(desk: Desk, _: SetClock) -> None:
    desk.decide(desk.ask("1h").id, outcome="approve")


def _ruled(desk: Desk, _: SetClock) -> None:
    rule = {"name": "all", "when": {}, "verdict": "approve", "reason": "All.", "reason_code": "all"}
    desk.rules.replace(NewRules.model_validate({"replaces": 1, "note": "A test", "rules": [rule]}), ADMIN)
    desk.ask("1h")


def _later(desk: Desk, clock: SetClock) -> None:
    desk.give("1h", starts_at=T0 + DAY, duration_days=10)
    for _ in range(12):
        clock.at += DAY
        desk.announce()


def _lapse(desk: Desk, clock: SetClock) -> None:
    clock.at = desk.ask("1h").lapse_at
    desk.requests.write_due_lapses(clock.at, 100)


def _keep(desk: Desk, _: SetClock) -> None:
    [grant] = desk.give("1h")
    desk.revoke(grant.id, at=T0 + DAY)
    desk.closings.keep(grant.id, ADMIN)


def _retire(desk: Desk, _: SetClock) -> None:
    desk.give("1h")
    desk.ask("1d")
    desk.retirements.follow(Retiring(symbol="BTC", retired={"1h": T0 + DAY, "1d": T0 - DAY}))


DOINGS: dict[str, Doing] = {
    "asked": lambda desk, _: desk.ask("1h"),
    "questioned and answered": lambda desk, _: desk.answer(desk.question(desk.ask("1h").id).id),
    "withdrawn": lambda desk, _: desk.withdraw(desk.ask("1h").id),
    "approved": _approved,
    "refused": lambda desk, _: desk.refuse(desk.ask("1h").id),
    "decided by a rule": _ruled,
    "lapsed": _lapse,
    "given": lambda desk, _: desk.give("1h"),
    "begun, ending and ended": _later,
    "extended": lambda desk, _: desk.extend(desk.give("1h", duration_days=5)[0].id, duration_days=300),
    "revoked": lambda desk, _: desk.revoke(desk.give("1h")[0].id),
    "kept": _keep,
    "retired": _retire,
    "blocked for a time": lambda desk, _: desk.block(until=T0 + DAY),
    "blocked and unblocked": lambda desk, _: desk.standings.unblock(desk.block(), WHY, ADMIN),
    "closed": lambda desk, _: desk.standings.close(desk.account(), WHY, ADMIN),
}


def driven(desk: Desk, clock: SetClock) -> list[tuple[str, dict[str, Any]]]:
    """All that is told, with its type, after everything that is told of was done once."""
    found: list[tuple[str, dict[str, Any]]] = []
    for doing in DOINGS.values():
        with desk.session.begin_nested() as undone:
            clock.at = T0
            doing(desk, clock)
            desk.session.flush()
            said = desk.session.execute(select(outbox.c.type, outbox.c.payload))
            found += [(type_, payload["data"]) for type_, payload in said]
            undone.rollback()
        desk.session.expunge_all()
    return found


def as_described(type_: str, data: dict[str, Any]) -> dict[str, Any]:
    """What is left of a message that has every member that is described, and loses what is not."""
    return TOLD[type_].carries.model_validate(data).model_dump(mode="json", exclude_unset=True)


def test_each_message_has_the_members_that_are_described_and_no_others(desk: Desk, clock: SetClock) -> None:
    told = driven(desk, clock)
    assert {type_ for type_, _ in told} == set(TOLD) - set(ELSEWHERE)
    for type_, data in told:
        assert as_described(type_, data) == data, type_


@pytest.mark.parametrize("type_", TOLD)
def test_each_example_is_as_described(type_: str) -> None:
    assert as_described(type_, TOLD[type_].data) == TOLD[type_].data


def test_what_is_described_is_told_and_what_is_told_is_described() -> None:
    said = {type_ for source in SOURCES for type_ in SAID.findall(source.read_text())}
    assert len(said) >= 10
    assert said <= set(TOLD)
