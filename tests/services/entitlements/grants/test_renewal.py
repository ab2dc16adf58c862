"""What is approved where a grant runs: it goes on from now, with no gap, and never ends earlier."""

from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import datetime
from threading import Event, Thread
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import update
from sqlalchemy.orm import Session

from services.entitlements.grants.entities import Grant
from services.entitlements.grants.errors import CellHeld, GrantClosed
from services.entitlements.grants.schemas import GrantOut, Revocation
from services.entitlements.retirements.schemas import Retiring
from services.entitlements.rules.schemas import NewRules
from shared.coherence.owner import is_settling
from shared.database import Database
from shared.wire import instant_text
from tests.conftest import Stores
from tests.services.entitlements.desk import Desk
from tests.services.entitlements.fakes import ADMIN, DAY, MS, OPS, T0, SetClock

RENEWALS = 25


@pytest.fixture
def database(stores: Stores) -> Iterator[Database]:
    """A database in which things are committed."""
    with closing(Database(stores.app_url("entitlements"), pool_size=4)) as database:
        yield database


def renew(desk: Desk, **terms: Any) -> GrantOut:
    """Approve what was asked for a cell that is held."""
    [item] = desk.decide(desk.ask_anyway("1d"), outcome="approve", **terms).items
    assert item.grant is not None
    return desk.grants.find(item.grant, OPS)


def test_a_renewal_begins_now_where_the_old_one_is_closed(desk: Desk, clock: SetClock) -> None:
    [old] = desk.give("1d", duration_days=30)
    clock.at += 27 * DAY
    new = renew(desk, duration_days=30)
    closed = desk.grants.find(old.id, OPS)
    assert (closed.status, closed.closed_at) == ("superseded", clock.at)
    assert (new.origin, new.supersedes, new.starts_at) == ("renewal", old.id, clock.at)
    assert new.ends_at == clock.at + 30 * DAY
    assert desk.may().until == new.ends_at


@pytest.mark.parametrize(
    ("old", "new", "days"),
    [
        ({"duration_days": 100}, {"duration_days": 30}, 100),
        ({"duration_days": 100}, {"ends_at": T0 + 20 * DAY}, 100),
        ({"duration_days": 100}, {"duration_days": 120}, 130),
        ({"duration_days": 14, "trial": True}, {"duration_days": 14, "trial": True}, 24),
        ({"duration_days": 14, "trial": True}, {"duration_days": 1}, 14),
        ({"no_end": True}, {"duration_days": 30}, None),
        ({"duration_days": 30}, {"no_end": True}, None),
    ],
)
def test_a_renewal_never_ends_earlier(
    desk: Desk, clock: SetClock, old: dict[str, Any], new: dict[str, Any], days: int | None
) -> None:
    desk.give("1d", **old)
    clock.at += 10 * DAY
    renewed = renew(desk, **new)
    assert renewed.ends_at == (None if days is None else T0 + days * DAY)
    assert not is_settling(desk.session)


def test_a_trial_is_upgraded_at_any_time_and_no_trial_follows_a_standard_grant(desk: Desk, clock: SetClock) -> None:
    [trial] = desk.give("1d", trial=True)
    clock.at += DAY
    standard = renew(desk)
    assert (standard.kind, standard.origin, standard.supersedes) == ("standard", "renewal", trial.id)
    asked = desk.ask_anyway("1d")
    before = desk.counts()
    for act in (lambda: desk.decide(asked, outcome="approve", trial=True), lambda: desk.give("1d", trial=True)):
        with pytest.raises(CellHeld) as refused, desk.session.begin_nested():
            act()
        assert refused.value.members == {"grant": str(standard.id)}
        assert desk.counts() == before


def test_what_begins_later_cannot_follow_a_running_grant_but_takes_a_scheduled_one_s_place(
    desk: Desk, clock: SetClock
) -> None:
    [later] = desk.give("1d", starts_at=T0 + 5 * DAY, duration_days=5)
    moved = renew(desk, starts_at=T0 + 3 * DAY, duration_days=5)
    assert (moved.status, moved.supersedes, moved.origin) == ("scheduled", later.id, "ops")
    assert is_settling(desk.session)
    clock.at += 3 * DAY
    with pytest.raises(CellHeld), desk.session.begin_nested():
        renew(desk, starts_at=T0 + 8 * DAY)


def test_what_ran_out_is_closed_at_its_end_and_what_follows_is_no_renewal(desk: Desk, clock: SetClock) -> None:
    [old] = desk.give("1d", duration_days=1)
    clock.at += DAY
    new = renew(desk)
    closed = desk.grants.find(old.id, OPS)
    assert (closed.status, closed.closed_at) == ("ended", T0 + DAY)
    assert (new.origin, new.supersedes) == ("ops", None)


def approved_by_a_rule(desk: Desk) -> None:
    rule = {"name": "all", "when": {}, "verdict": "approve", "reason": "All.", "reason_code": "all"}
    desk.rules.replace(NewRules.model_validate({"replaces": 1, "note": "All", "rules": [rule]}), ADMIN)
    assert desk.ask("1d").status == "approved"


FOLLOWING: dict[str, Callable[[Desk, UUID], object]] = {
    "renewed by Ops": lambda desk, _: renew(desk),
    "renewed by a rule": lambda desk, _: approved_by_a_rule(desk),
    "extended": lambda desk, grant: desk.extend(grant, duration_days=20),
    "extended without an end": lambda desk, grant: desk.extend(grant, no_end=True),
    "given anew": lambda desk, _: desk.give("1d", duration_days=100),
}


def planned(desk: Desk, clock: SetClock) -> Grant:
    """A grant in its renewal window whose revocation is planned for the day after."""
    [grant] = desk.give("1d", duration_days=10)
    clock.at += 8 * DAY
    desk.closings.revoke(grant.id, Revocation(reason="Unpaid.", reason_code="unpaid", effective_at=T0 + 9 * DAY), OPS)
    return desk.session.get_one(Grant, grant.id)


@pytest.mark.parametrize("take_place", FOLLOWING.values(), ids=FOLLOWING)
def test_what_takes_the_place_of_a_grant_is_revoked_when_that_was_to_be(
    desk: Desk, clock: SetClock, take_place: Callable[[Desk, UUID], object]
) -> None:
    old = planned(desk, clock).id
    desk.session.info.clear()
    take_place(desk, old)
    assert not is_settling(desk.session)  # it ends when the one before would have
    new = desk.session.get_one(Grant, desk.may().grant)
    assert (new.supersedes, new.revokes_at, desk.may().until) == (old, T0 + 9 * DAY, T0 + 9 * DAY)
    assert (new.closed_by, new.close_note, new.close_reason_code) == (OPS.account, "Unpaid.", "unpaid")
    clock.at = T0 + 9 * DAY
    refusal = desk.may().refusal
    assert refusal is not None
    assert (refusal.code, refusal.members["reason"]) == ("revoked", "Unpaid.")
    for _ in range(2):
        desk.announce()
        clock.at += 100 * DAY
    [told] = desk.told("grant.ended")
    assert (told["data"]["id"], told["data"]["status"]) == (str(new.id), "revoked")
    assert len(desk.told("grant.revoked")) == 1


def test_only_keeping_it_calls_a_planned_revocation_off(desk: Desk, clock: SetClock) -> None:
    old = planned(desk, clock).id
    new = desk.extend(old, duration_days=20)
    with pytest.raises(GrantClosed):
        desk.closings.keep(old, OPS)
    kept = desk.closings.keep(new.id, OPS)
    assert (kept.revokes_at, kept.reason) == (None, "Signed")
    clock.at = T0 + 28 * DAY - MS
    desk.announce()
    assert (desk.may().until, desk.told("grant.ended")) == (T0 + 28 * DAY, [])
    clock.at += MS
    desk.announce()
    assert [told["data"]["status"] for told in desk.told("grant.ended")] == ["ended"]


def test_a_term_that_is_over_before_the_revocation_ends_as_itself(desk: Desk, clock: SetClock) -> None:
    planned(desk, clock)
    desk.session.info.clear()
    [new] = desk.give("1d", ends_at=clock.at + DAY / 2)
    assert is_settling(desk.session)
    clock.at += DAY
    desk.announce()
    assert (desk.may().state, desk.grants.find(new.id, OPS).reason) == ("ended", "Signed")


def test_what_begins_after_a_revocation_that_ended_the_grant_is_not_under_it(desk: Desk, clock: SetClock) -> None:
    planned(desk, clock)
    clock.at += DAY
    [new] = desk.give("1d")
    assert (new.supersedes, new.revokes_at) == (None, None)


def test_a_gift_in_the_place_of_one_to_come_is_revoked_like_it(desk: Desk, clock: SetClock) -> None:
    [later] = desk.give("1d", starts_at=T0 + DAY)
    desk.revoke(later.id, at=T0 + 2 * DAY)
    [new] = desk.give("1d", starts_at=T0 + DAY / 2)
    assert (new.supersedes, new.revokes_at) == (later.id, T0 + 2 * DAY)
    clock.at = T0 + 2 * DAY
    assert desk.may().state == "revoked"


def test_nothing_begins_after_the_revocation_that_it_would_be_under(desk: Desk) -> None:
    [later] = desk.give("1d", starts_at=T0 + 3 * DAY)
    desk.revoke(later.id, at=T0 + DAY)
    for begin in (T0 + DAY, T0 + 2 * DAY):
        with pytest.raises(CellHeld), desk.session.begin_nested():
            desk.give("1d", starts_at=begin)
    with pytest.raises(CellHeld), desk.session.begin_nested():
        desk.extend(later.id, duration_days=100)
    desk.closings.keep(later.id, OPS)
    [new] = desk.give("1d", starts_at=T0 + 2 * DAY)
    assert (new.supersedes, new.revokes_at) == (later.id, None)


def test_what_could_only_begin_after_its_retirement_takes_no_days_away(desk: Desk, clock: SetClock) -> None:
    [soon] = desk.give("1d", starts_at=T0 + DAY)
    desk.retirements.follow(Retiring(symbol="BTC", retired={"1d": T0 + 5 * DAY}))
    with pytest.raises(CellHeld), desk.session.begin_nested():
        desk.give("1d", starts_at=T0 + 5 * DAY)
    clock.at += 2 * DAY
    assert desk.may().grant == soon.id


@pytest.mark.parametrize("take_place", FOLLOWING.values(), ids=FOLLOWING)
def test_what_takes_the_place_of_a_grant_is_retired_like_it_and_that_is_told_once(
    desk: Desk, clock: SetClock, take_place: Callable[[Desk, UUID], object]
) -> None:
    def follow() -> None:
        desk.retirements.follow(Retiring(symbol="BTC", retired={"1d": T0 + 12 * DAY}))

    [grant] = desk.give("1d", duration_days=10)
    clock.at += 8 * DAY
    follow()
    take_place(desk, grant.id)
    assert desk.may().until == T0 + 12 * DAY
    follow()
    assert len(desk.told("dataset.retired")) == 1


def test_who_is_given_what_will_be_revoked_is_told_when(desk: Desk, clock: SetClock) -> None:
    planned(desk, clock)
    grant = renew(desk)
    told = desk.told("access.decided")[-1]["data"]["decisions"][0]
    assert told["revokes_at"] == instant_text(T0 + 9 * DAY)
    desk.extend(grant.id, duration_days=20)
    assert desk.told("grant.started")[-1]["data"]["grants"][0]["revokes_at"] == instant_text(T0 + 9 * DAY)


def read_until(stop: Event, database: Database, states: list[str]) -> None:
    while not stop.is_set():
        with database.transaction() as session:
            states.append(Desk(session).may().state)


def read_across(database: Database, act: Any) -> list[str]:
    """What a reader is told, over and over, while something is done."""
    stop, states = Event(), list[str]()
    reader = Thread(target=read_until, args=(stop, database, states))
    reader.start()
    try:
        act()
    finally:
        stop.set()
        reader.join()
    return states


def test_a_reader_is_never_refused_while_a_grant_is_renewed_again_and_again(database: Database) -> None:
    def renew_often() -> None:
        for _ in range(RENEWALS):
            with database.transaction() as session:
                renew(Desk(session))

    with database.transaction() as session:
        Desk(session).give("1d")
    states = read_across(database, renew_often)
    assert (set(states), len(states) > RENEWALS / 2) == ({"active"}, True)


def test_in_two_transactions_a_reader_is_refused_in_between(database: Database) -> None:
    def close_and_then_give() -> None:
        for _ in range(3):
            with database.transaction() as session:
                now = Desk(session).clock.now(session)
                session.execute(update(Grant).values(closed_at=now, close_reason="ended"))
            Event().wait(0.1)  # time enough for the reader
            with database.transaction() as session:
                Desk(session).give("1d")

    with database.transaction() as session:
        Desk(session).give("1d")
    assert "ended" in read_across(database, close_and_then_give)


class Overtaken:
    """A reader's clock: a renewal is made, and committed, while it is asked for the time."""

    def __init__(self, database: Database, before: bool) -> None:
        self._database = database
        self._before = before

    def now(self, session: Session) -> datetime:
        """The time before the renewal, or after it."""
        clock = Desk(session).clock
        before = clock.now(session)
        with self._database.transaction() as other:
            renew(Desk(other))
        return before if self._before else clock.now(session)


@pytest.mark.parametrize("before", [True, False])
def test_a_reader_that_a_renewal_overtakes_is_not_refused(database: Database, before: bool) -> None:
    with database.transaction() as session:
        Desk(session).give("1d")
    with database.transaction() as session:
        assert Desk(session, Overtaken(database, before)).may().state == "active"
