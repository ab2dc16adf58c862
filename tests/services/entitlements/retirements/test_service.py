"""What follows from a retirement: once each, in time or late, and undone where the catalog undid it."""

from contextlib import closing
from datetime import UTC, datetime

from services.entitlements.retirements.schemas import Retiring
from shared.database import Database
from tests.conftest import Stores
from tests.services.entitlements.desk import Desk
from tests.services.entitlements.fakes import DAY, MS, OPS, OTHER, T0, SetClock, person


def follow(desk: Desk, **retired: datetime) -> None:
    """What the catalog says is retired of BTC, heard twice."""
    for _ in range(2):
        desk.retirements.follow(Retiring(symbol="BTC", retired={name.strip("f"): at for name, at in retired.items()}))


def test_a_retirement_to_come_is_told_at_once_and_ends_access_on_its_day(desk: Desk, clock: SetClock) -> None:
    [grant], _ = desk.give("1d"), desk.give("1h")
    desk.give("1d", to=OTHER)
    follow(desk, f1d=T0 + DAY)
    assert [told["data"]["retired_at"] for told in desk.told("dataset.retired")] == ["2026-05-05T12:00:00Z"] * 2
    assert desk.may().until == T0 + DAY
    clock.at += DAY - MS
    assert desk.may().allowed
    clock.at += MS
    assert (desk.may().allowed, desk.may("1h").allowed) == (False, True)
    clock.at += DAY
    follow(desk, f1d=T0 + DAY)
    desk.announce()
    closed = desk.grants.find(grant.id, OPS)
    assert (closed.status, closed.closed_at) == ("retired", T0 + DAY)
    assert (len(desk.told("dataset.retired")), len(desk.told("grant.ended"))) == (2, 2)


def test_what_is_retired_at_once_refuses_what_is_pending_and_ends_what_runs(desk: Desk, clock: SetClock) -> None:
    [grant] = desk.give("1d")
    request = desk.ask("1d", "1h", by=OTHER)
    clock.at += DAY
    follow(desk, f1d=T0 + DAY - MS)
    closed = desk.grants.find(grant.id, OPS)
    assert (closed.status, closed.closed_at) == ("retired", T0 + DAY - MS)
    items = {item.frequency: item for item in desk.requests.find(request.id, OPS).items}
    assert (items["1d"].status, items["1d"].outcome_by, items["1d"].reason_code) == ("refused", "rule", "retired")
    assert items["1h"].status == "pending"
    assert len(desk.told("access.decided")) == len(desk.told("dataset.retired")) == 1


def test_a_request_is_told_of_once_whatever_of_it_is_retired_and_wherever_a_batch_ends(desk: Desk) -> None:
    requests = [desk.ask("1h", "1d", "1mo", by=person()) for _ in range(2)]
    retiring = Retiring(symbol="BTC", retired={"1h": T0, "1d": T0, "1mo": T0 + DAY})
    assert [desk.retirements.follow(retiring, limit=3) for _ in range(2)] == [4, 0]
    told = {message["data"]["request"]: message["data"]["decisions"] for message in desk.told("access.decided")}
    assert len(desk.told("access.decided")) == len(desk.audited("access.decided")) == 2
    for request in requests:
        outcomes = told[str(request.id)]
        assert [(o["frequency"], o["outcome"], o["grant"]) for o in outcomes] == [
            ("1h", "refused", None),
            ("1d", "refused", None),
        ]


def test_what_is_pending_stays_so_until_the_day(desk: Desk) -> None:
    request = desk.ask("1d")
    follow(desk, f1d=T0 + DAY)
    assert desk.requests.find(request.id, OPS).status == "pending"


def test_a_retirement_that_was_undone_or_moved_is_followed(desk: Desk, clock: SetClock) -> None:
    [grant] = desk.give("1d")
    follow(desk, f1d=T0 + DAY)
    follow(desk, f1d=T0 + 2 * DAY)
    assert desk.may().until == T0 + 2 * DAY
    follow(desk)
    clock.at += 3 * DAY
    assert desk.may().until == grant.ends_at
    assert len(desk.told("dataset.retired")) == 2


def test_the_end_of_what_was_extended_meanwhile_is_told_on_the_day(desk: Desk, clock: SetClock) -> None:
    [grant] = desk.give("1d", duration_days=10)
    follow(desk, f1d=T0 + 2 * DAY)
    extended = desk.extend(grant.id, duration_days=300)
    follow(desk, f1d=T0 + 2 * DAY)
    clock.at = T0 + 2 * DAY - MS
    desk.announce()
    assert (desk.may().until, desk.told("grant.ended")) == (T0 + 2 * DAY, [])
    clock.at += MS
    follow(desk, f1d=T0 + 2 * DAY)
    for _ in range(2):
        desk.announce()
    [told] = desk.told("grant.ended")
    assert (told["data"]["id"], told["data"]["status"]) == (str(extended.id), "retired")
    assert told["data"]["closed_at"] == "2026-05-06T12:00:00Z"


def test_many_are_followed_a_few_at_a_time_each_once(desk: Desk, clock: SetClock) -> None:
    people = [person() for _ in range(5)]
    for who in people:
        desk.give("1d", to=who)
        desk.ask("1h", by=who)
    retiring = Retiring(symbol="BTC", retired={"1d": T0 + DAY, "1h": T0})
    found = [desk.retirements.follow(retiring, limit=2) for _ in range(6)]
    assert found == [2, 2, 2, 2, 2, 0]
    assert {desk.may(who=who).until for who in people} == {T0 + DAY}
    assert {cell.state for who in people for cell in desk.cells(who=who) if cell.frequency == "1h"} == {"refused"}
    assert (len(desk.told("dataset.retired")), len(desk.told("access.decided"))) == (5, 5)
    undone = [desk.retirements.follow(Retiring(symbol="BTC", retired={}), limit=2) for _ in range(4)]
    assert undone == [2, 2, 1, 0]


def test_what_lapsed_is_left_to_lapse(desk: Desk, clock: SetClock) -> None:
    request = desk.ask("1d")
    clock.at = request.lapse_at
    assert desk.retirements.follow(Retiring(symbol="BTC", retired={"1d": T0})) == 0
    assert desk.requests.find(request.id, OPS).status == "lapsed"


def test_what_somebody_holds_is_left_for_the_next_time_and_nobody_waits(stores: Stores) -> None:
    retiring = Retiring(symbol="BTC", retired={"1d": datetime.now(UTC) + DAY})
    with closing(Database(stores.app_url("entitlements"))) as database:
        with database.transaction() as session:
            held = Desk(session).give("1d")[0].id
            Desk(session).give("1d", to=OTHER)
        with database.transaction() as holding:
            Desk(holding).revoke(held)
            with database.transaction() as session:
                assert Desk(session).retirements.follow(retiring) == 1
            holding.rollback()
        with database.transaction() as session:
            assert [Desk(session).retirements.follow(retiring) for _ in range(2)] == [1, 0]
