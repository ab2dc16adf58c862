"""What is told is what is described: the same types, and in each example the members that real messages have."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from sqlalchemy import select

import services.entitlements
from services.entitlements.database import outbox
from services.entitlements.retirements.schemas import Retiring
from services.entitlements.rules.schemas import NewRules
from services.entitlements.standing.schemas import Ruling
from services.entitlements.webhooks.events import TOLD
from services.entitlements.webhooks.service import ADDED, DISABLED
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


def members(data: Any, path: str = "") -> set[str]:
    """The members of a message, those of members and of a list's items too."""
    if isinstance(data, list):
        return {name for one in data for name in members(one, f"{path}[]")}
    if not isinstance(data, dict):
        return {path}
    return {name for key, value in data.items() for name in members(value, f"{path}/{key}")}


def driven(desk: Desk, clock: SetClock) -> dict[str, set[str]]:
    """The members of all that is told of in each type, after everything that is told of was done once."""
    found: dict[str, set[str]] = {}
    for doing in DOINGS.values():
        with desk.session.begin_nested() as undone:
            clock.at = T0
            doing(desk, clock)
            desk.session.flush()
            for type_, payload in desk.session.execute(select(outbox.c.type, outbox.c.payload)):
                found[type_] = found.get(type_, set()) | members(payload["data"])
            undone.rollback()
        desk.session.expunge_all()
    return found


def test_each_example_has_the_members_of_what_is_told(desk: Desk, clock: SetClock) -> None:
    described = {type_: members(telling.data) for type_, telling in TOLD.items() if type_ not in ELSEWHERE}
    assert driven(desk, clock) == described


def test_what_is_described_is_told_and_what_is_told_is_described() -> None:
    said = {type_ for source in SOURCES for type_ in SAID.findall(source.read_text())}
    assert len(said) >= 10
    assert said <= set(TOLD)
