"""What lies in an outbox is counted, put away when it is old, and tried again when somebody says so."""

import json
from contextlib import closing
from datetime import timedelta
from threading import Event as Flag

from shared.backlog import Backlog, backlog, dead_letters, replay, sweep
from shared.broker import Transport
from shared.outbox import publish, take_due
from shared.relay import FULL, INTERVAL, step, tidy
from tests.shared.ground import Ground, outbox

OLD = "interval '8 days'"


def put(ground: Ground, count: int, state: str, *, ago: str = "interval '0'") -> None:
    """Events in a state, since a while."""
    ground.sql(
        f"insert into ground.outbox (id, type, payload, state, due_at, created_at, error) "  # noqa: S608
        f"select gen_random_uuid(), 'grant.ended', %s, '{state}', clock_timestamp() - {ago}, "
        f"clock_timestamp() - {ago}, 'why' from generate_series(1, {count})",
        json.dumps({"number": 1}),
    )


def standing(ground: Ground) -> Backlog:
    """How the outbox stands."""
    with ground.database.transaction() as session:
        return backlog(session, outbox)


def states(ground: Ground) -> dict[str, int]:
    """How many events are in which state."""
    return {str(state): int(str(n)) for state, n in ground.sql("select state, count(*) from ground.outbox group by 1")}


def test_what_waits_is_counted_with_the_age_of_the_oldest(ground: Ground) -> None:
    assert standing(ground) == Backlog(depth=0, age=0.0, dead=0)
    put(ground, 2, "pending", ago="interval '90 seconds'")
    put(ground, 1, "working")
    put(ground, 3, "dead", ago=OLD)
    put(ground, 4, "done", ago=OLD)
    found = standing(ground)
    assert (found.depth, found.dead) == (3, 3)
    assert 90 <= found.age < 100


def test_what_is_meant_for_later_waits_for_its_time_and_is_not_late(ground: Ground) -> None:
    with ground.database.transaction() as session:
        publish(session, outbox, "grant.ended", {"number": 1}, after=timedelta(hours=1))
    with ground.database.transaction() as session:
        assert take_due(session, outbox) == []
    assert (standing(ground).depth, standing(ground).age) == (1, 0.0)


def test_only_what_was_done_a_week_ago_is_put_away(ground: Ground) -> None:
    for state in ("pending", "sent", "working", "done", "dead"):
        put(ground, 1, state)
        put(ground, 2, state, ago=OLD)
    with ground.database.transaction() as session:
        assert sweep(session, outbox) == 2
    assert states(ground) == {"pending": 3, "sent": 3, "working": 3, "done": 1, "dead": 3}


def test_more_than_a_batch_is_put_away_batch_by_batch(ground: Ground) -> None:
    put(ground, 2500, "done", ago=OLD)
    tidy(ground.database, outbox, Flag())
    assert states(ground) == {}


def test_dead_ones_are_told_with_the_reason_and_replayed_one_or_all(ground: Ground) -> None:
    put(ground, 3, "dead")
    with ground.database.transaction() as session:
        first, *_ = dead_letters(session, outbox, limit=2)
        assert first.error == "why"
        assert (replay(session, outbox, first.id), replay(session, outbox, first.id)) == (1, 0)
    assert states(ground) == {"dead": 2, "pending": 1}
    with ground.database.transaction() as session:
        assert replay(session, outbox) == 2
    assert ground.sql("select distinct state, attempts from ground.outbox") == [("pending", 0)]


def test_while_the_queue_is_full_nothing_more_is_handed_over(ground: Ground) -> None:
    """Else everything that waits longer than a lease would be in it again and again."""
    put(ground, FULL + 50, "pending")
    with closing(Transport(ground.settings.redis_url, service=f"full-{ground.name}")) as transport:
        while step(ground.database, outbox, transport) == 0:
            pass
        assert transport.waiting() == FULL
        assert states(ground) == {"sent": FULL, "pending": 50}
        ground.sql("update ground.outbox set due_at = clock_timestamp()")
        assert step(ground.database, outbox, transport) == INTERVAL
        assert transport.waiting() == FULL


def test_errands_that_pile_up_are_left_and_nothing_else_waits_for_them(ground: Ground) -> None:
    put(ground, FULL, "pending")
    with closing(Transport(ground.settings.redis_url, service=f"piled-{ground.name}")) as transport:
        while step(ground.database, outbox, transport, errands=["grant.ended"]) == 0:
            pass
        put(ground, 1, "pending")
        with ground.database.transaction() as session:
            publish(session, outbox, "another", {})
        assert step(ground.database, outbox, transport, errands=["grant.ended"]) == 0
        assert (transport.waiting(), transport.waiting(errands=True)) == (1, FULL)
    assert states(ground) == {"sent": FULL + 1, "pending": 1}
