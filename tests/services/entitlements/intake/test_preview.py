"""For many generated situations: what a preview says is what asking then does, refusals included."""

from typing import Any

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from sqlalchemy import insert, text

from services.entitlements.requests.entities import AccessRequest, RequestItem
from services.entitlements.rules.entities import RuleVersion
from shared.errors import Problem
from shared.ids import new_id
from tests.proof import PROOF
from tests.services.entitlements.desk import Desk
from tests.services.entitlements.fakes import DAY, QUANT, T0, SetClock

EXAMPLES = 1000 if PROOF else 25
FREQUENCIES = ("1h", "1d", "1mo")
SITUATIONS = st.sampled_from(
    [
        *(
            "nothing",
            "pending",
            "lapsed",
            "refused",
            "refused long ago",
            "revoked",
            "trial over",
            "trial",
            "asked trial",
        ),
        *("held", "held near its end", "held without end", "renewal pending", "scheduled", "upgrade pending"),
    ]
)
SUBSETS = st.lists(st.sampled_from(FREQUENCIES), min_size=1, unique=True)
CASES = st.fixed_dictionaries(
    {
        "cells": st.fixed_dictionaries(dict.fromkeys(FREQUENCIES, SITUATIONS)),
        "standing": st.sampled_from(["good", "good", "good", "blocked", "closed"]),
        "approved": st.sampled_from([0, 0, 3, 4, 5]),
        "open": st.sampled_from([0, 0, 0, 47, 48, 49, 50]),
        "broken": st.booleans(),
        "ask": SUBSETS,
        "trial": st.booleans(),
        "days": st.sampled_from([None, 1, 14, 90]),
    }
)
BROKEN = {"name": "broken", "when": {"moon": "full"}}


def arrange(desk: Desk, clock: SetClock, case: dict[str, Any]) -> None:
    """Bring the world into a situation."""
    clock.at = T0
    for number in range(case["approved"]):
        desk.ask("1d", trial=True, dataset=f"A{number}")
    for frequency, situation in case["cells"].items():
        cell(desk, clock, frequency, situation)
    clock.at = T0
    if case["open"]:
        wait_for_ops(desk, case["open"])
    if case["broken"]:
        row = {"version": 2, "note": "By hand", "rules": [BROKEN], "created_at": T0}
        desk.session.execute(insert(RuleVersion).values(row))
    if case["standing"] != "good":
        statement = text("update entitlements.accounts set standing = :standing")
        desk.session.execute(statement, {"standing": case["standing"]})


def wait_for_ops(desk: Desk, items: int) -> None:
    """Have so many items wait, in few statements."""
    times: dict[str, Any] = {"account": QUANT.account_id, "lapse_at": T0 + DAY}
    ids = [new_id() for _ in range(items)]
    requests = [{"id": i, "dataset": f"O{i.int}", "trial": False, "created_at": T0, **times} for i in ids]
    waiting = [
        {"id": new_id(), "request_id": i, "dataset": f"O{i.int}", "frequency": "1d", "status": "pending", **times}
        for i in ids
    ]
    desk.session.execute(insert(AccessRequest).values(requests))
    desk.session.execute(insert(RequestItem).values(waiting))


def cell(desk: Desk, clock: SetClock, frequency: str, situation: str) -> None:
    """Bring one cell into a situation; what is long ago happens long ago."""
    past = {"lapsed": 20, "refused long ago": 3, "held near its end": 95, "renewal pending": 95, "trial over": 20}
    clock.at = T0 - past.get(situation, 0) * DAY
    if situation in ("pending", "lapsed"):
        desk.ask(frequency)
    elif situation.startswith("refused"):
        desk.refuse(desk.ask(frequency).id)
    elif situation == "revoked":
        desk.revoke(desk.give(frequency)[0].id)
    elif situation == "asked trial":
        desk.ask(frequency, trial=True)
    elif situation in ("trial", "trial over", "upgrade pending"):
        desk.give(frequency, trial=True)
    elif situation in ("held", "held near its end", "renewal pending"):
        desk.give(frequency, duration_days=100)
    elif situation == "held without end":
        desk.give(frequency, no_end=True)
    elif situation == "scheduled":
        desk.give(frequency, starts_at=T0 + DAY)
    if situation in ("renewal pending", "upgrade pending"):
        clock.at = T0
        desk.ask(frequency)


def seen_and_done(desk: Desk, case: dict[str, Any]) -> tuple[Any, Any]:
    """What a preview and then a request come to, said alike."""
    how = {"trial": case["trial"], "duration_days": min(case["days"] or 14, 14) if case["trial"] else case["days"]}
    return said(desk.preview, case["ask"], how), said(desk.ask, case["ask"], how)


def said(act: Any, ask: list[str], how: dict[str, Any]) -> Any:
    try:
        answer = act(*ask, **how)
    except Problem as problem:
        return problem.code, problem.members
    items = {
        item.frequency: (getattr(item, "outcome", None) or item.status, item.reason, item.reason_code)
        for item in answer.items
    }
    return items, answer.skipped


@settings(
    max_examples=EXAMPLES,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
    database=None,
    phases=[Phase.generate],  # to make a failing case smaller takes longer than to read it
)
@given(case=CASES)
def test_a_preview_is_what_asking_then_does(desk: Desk, clock: SetClock, case: dict[str, Any]) -> None:
    with desk.session.begin_nested() as undone:
        arrange(desk, clock, case)
        before = desk.counts()
        seen, done = seen_and_done(desk, case)
        assert seen == done
        made = desk.counts()["request_items"] - before["request_items"]
        assert made == (len(done[0]) if isinstance(done[0], dict) else 0)
        undone.rollback()


def test_the_situations_reach_every_kind_of_answer(desk: Desk, clock: SetClock) -> None:
    """The control: the cases above tell answers apart."""
    plain: dict[str, Any] = {"standing": "good", "approved": 0, "open": 0, "broken": False, "ask": ["1d"], "days": None}
    found = set()
    for trial, situation, other in (
        (True, "nothing", {}),
        (True, "nothing", {"broken": True}),
        (True, "trial over", {}),
        (False, "held", {}),
        (False, "held near its end", {}),
        (False, "refused", {}),
        (False, "nothing", {"open": 50}),
    ):
        with desk.session.begin_nested() as undone:
            case = {**plain, **other, "trial": trial, "cells": {"1d": situation}}
            arrange(desk, clock, case)
            seen, _ = seen_and_done(desk, case)
            found.add(seen[0] if isinstance(seen[0], str) else seen[0]["1d"][0])
            undone.rollback()
    assert found == {"approved", "pending", "refused", "nothing-to-request", "cooldown", "too-many-open"}
