"""An event happens if its transaction commits, is leased to one relay at a time, and is acted on once."""

import threading
from collections.abc import Callable
from concurrent.futures import Executor, Future, ThreadPoolExecutor, wait
from contextlib import suppress
from datetime import timedelta
from functools import partial
from threading import Event as Flag
from uuid import UUID

import psycopg
import pytest
import structlog
from sqlalchemy import ColumnElement, Table, and_, insert, text, update
from sqlalchemy.exc import OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.orm import Session

from shared.backlog import replay
from shared.database import Database
from shared.outbox import (
    BATCH,
    MAX_ATTEMPTS,
    SPREAD,
    Errand,
    Event,
    Handler,
    NotNow,
    Task,
    deliver,
    hand_back,
    publish,
    take_due,
)
from tests.shared.ground import Ground, act, effects, outbox

TASKS = {"grant.ended": act}
LEASE_OVER = "update ground.outbox set due_at = clock_timestamp() where state in ('pending', 'sent', 'working')"


def published(ground: Ground, count: int = 1) -> None:
    """Publish events number 1 to `count`."""
    with ground.database.transaction() as session:
        for number in range(1, count + 1):
            publish(session, outbox, "grant.ended", {"number": number})


def taken(ground: Ground) -> list[UUID]:
    """What a relay would hand over now."""
    with ground.database.transaction() as session:
        return [event for event, _ in take_due(session, outbox)]


def failing(_session: Session, _event: Event) -> None:
    """A handler that never succeeds."""
    raise LookupError("no use")


def states(ground: Ground) -> list[tuple[object, ...]]:
    """State and attempts of every event, oldest first."""
    return ground.sql("select state, attempts from ground.outbox order by id")


def test_an_event_is_undone_with_its_transaction(ground: Ground) -> None:
    with pytest.raises(LookupError), ground.database.transaction() as session:  # noqa: PT012
        publish(session, outbox, "grant.ended", {"number": 1})
        raise LookupError

    assert taken(ground) == []


def test_an_event_remembers_the_request_that_caused_it(ground: Ground) -> None:
    heard: list[Event] = []
    with structlog.contextvars.bound_contextvars(request_id="mine"):
        published(ground)
    deliver(ground.database, outbox, {"grant.ended": lambda _, event: heard.append(event)}, taken(ground)[0])

    assert (heard[0].type, heard[0].payload, heard[0].request_id) == ("grant.ended", {"number": 1}, "mine")


def test_an_event_is_leased_to_one_relay_until_the_lease_runs_out(ground: Ground) -> None:
    published(ground, 3)
    first = taken(ground)

    assert first == sorted(first)
    assert len(first) == 3
    assert taken(ground) == []
    ground.sql(LEASE_OVER)
    assert taken(ground) == first


def test_relays_at_the_same_moment_lease_each_event_once(ground: Ground) -> None:
    published(ground, 3 * BATCH)
    start = threading.Barrier(6)

    def relay(_: int) -> list[UUID]:
        start.wait()
        return taken(ground)

    with ThreadPoolExecutor(6) as pool:
        leased = [event for batch in pool.map(relay, range(6)) for event in batch]

    assert len(leased) == len(set(leased))
    assert all(state == ("sent", 0) for state in states(ground)[: len(leased)])


def test_a_relay_waits_for_no_event_that_somebody_holds(ground: Ground) -> None:
    published(ground, 2)
    with psycopg.connect(ground.owner_url) as holding:
        row = holding.execute("select id from ground.outbox order by id limit 1 for update").fetchone()
        with ground.database.transaction() as session:
            session.execute(text("set local lock_timeout = '100ms'"))
            taken_meanwhile = [event for event, _ in take_due(session, outbox)]
        holding.rollback()
    assert row is not None
    assert len(taken_meanwhile) == 1
    assert taken(ground) == [row[0]]


def test_an_event_that_could_not_be_handed_over_is_due_at_once(ground: Ground) -> None:
    published(ground, 2)
    events = taken(ground)
    with ground.database.transaction() as session:
        hand_back(session, outbox, events)

    assert taken(ground) == events


def test_handing_back_leaves_alone_what_was_done_meanwhile(ground: Ground) -> None:
    published(ground)
    (event,) = taken(ground)
    deliver(ground.database, outbox, TASKS, event)
    with ground.database.transaction() as session:
        hand_back(session, outbox, [event])

    assert states(ground) == [("done", 1)]


def test_an_event_is_acted_on_once_however_often_it_is_delivered(ground: Ground) -> None:
    published(ground)
    (event,) = taken(ground)
    for _ in range(3):
        deliver(ground.database, outbox, TASKS, event)

    assert ground.effects() == ["grant.ended 1"]


def worked(ground: Ground, task: Task) -> None:
    """Five events, all of them delivered by each of six workers at the same moment."""
    published(ground, 5)
    events = taken(ground)
    start = threading.Barrier(6)

    def work(_: int) -> None:
        start.wait()
        for event in events:
            deliver(ground.database, outbox, {"grant.ended": task}, event)

    with ThreadPoolExecutor(6) as pool:
        list(pool.map(work, range(6)))
    assert {state for state, _ in states(ground)} == {"done"}


def claim_anyway(session: Session, table: Table, _tasks: object, event_id: UUID) -> Event:
    """Take an event, whoever has it or had it."""
    taking = update(table).where(table.c.id == event_id).values(state="working").returning(table)
    row = session.execute(taking).one()
    return Event(row.id, row.type, row.payload, row.created_at, row.request_id, row.attempts)


def act_anyway(session: Session, table: Table, effect: Handler, event: Event) -> None:
    """The effect and `done`, whoever has the event."""
    effect(session, event)
    session.execute(update(table).where(table.c.id == event.id).values(state="done"))


def test_d1_workers_at_the_same_moment_act_once(ground: Ground) -> None:
    worked(ground, act)
    assert sorted(ground.effects()) == [f"grant.ended {number}" for number in range(1, 6)]


def test_d1_the_same_workers_act_more_than_once_where_nothing_guards_the_effect(
    ground: Ground, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The negative control of the test above."""
    monkeypatch.setattr("shared.outbox._claim", claim_anyway)
    monkeypatch.setattr("shared.outbox._act", act_anyway)
    worked(ground, act)
    assert len(ground.effects()) > 5


def test_d1_workers_at_the_same_moment_run_an_errand_once(ground: Ground) -> None:
    runs: list[UUID] = []
    worked(ground, Errand(partial(run_and_note, runs), timedelta(minutes=1)))
    assert len(runs) == len(set(runs)) == 5


def test_d1_the_same_workers_run_an_errand_more_than_once_where_none_claims_it(
    ground: Ground, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The negative control of the test above; the effect that is written down is guarded once more."""
    runs: list[UUID] = []
    monkeypatch.setattr("shared.outbox._claim", claim_anyway)
    worked(ground, Errand(partial(run_and_note, runs), timedelta(minutes=1)))
    assert len(runs) > len(set(runs)) == 5


def run_and_note(runs: list[UUID], _database: Database, event: Event) -> Handler:
    """An errand that leaves a note."""
    runs.append(event.id)
    return act


class Standing:
    """An errand whose worker stands still in the middle, until it is let go on to `end`."""

    def __init__(self, end: Callable[[], Handler]) -> None:
        self._end = end
        self._there, self._go_on = Flag(), Flag()

    def start(self, ground: Ground, worker: Executor, event: UUID) -> Future[None]:
        """Let a worker come to where it stands."""
        tasks = {"grant.ended": Errand(self._run, timedelta(minutes=1))}
        delivery = worker.submit(deliver, ground.database, outbox, tasks, event)
        assert self._there.wait(5)
        return delivery

    def finish(self, delivery: Future[None]) -> None:
        """Let it go on, whatever comes of it."""
        self._go_on.set()
        wait([delivery], timeout=5)

    def _run(self, _database: Database, _event: Event) -> Handler:
        self._there.set()
        self._go_on.wait(10)
        return self._end()


def overtaken(ground: Ground, end: Callable[[], Handler]) -> tuple[list[tuple[object, ...]], list[tuple[object, ...]]]:
    """The fourth attempt outlives its lease, and ends beside the fifth, which succeeds: states after each of them."""
    published(ground)
    ground.sql("update ground.outbox set attempts = 3")
    late, next_one = Standing(end), Standing(lambda: act)
    with ThreadPoolExecutor(2) as workers:
        (event,) = taken(ground)
        fourth = late.start(ground, workers, event)
        ground.sql(LEASE_OVER)
        assert taken(ground) == [event]
        fifth = next_one.start(ground, workers, event)
        late.finish(fourth)
        between = states(ground)
        next_one.finish(fifth)
    return between, states(ground)


def act_late(session: Session, _event: Event) -> None:
    """An effect of its own."""
    session.execute(insert(effects).values(what="late"))


def bring_late_news() -> Handler:
    """What an attempt that was overtaken would write down."""
    return act_late


def fail_late() -> Handler:
    """Its connection, say, was cut meanwhile."""
    raise LookupError


def wait_late() -> Handler:
    """Its turn has not come, it says."""
    raise NotNow(timedelta(seconds=2))


ENDS = (bring_late_news, fail_late, wait_late)


@pytest.mark.parametrize("end", ENDS)
def test_d3_an_attempt_that_was_overtaken_changes_nothing_however_it_ends(
    ground: Ground, end: Callable[[], Handler]
) -> None:
    assert overtaken(ground, end) == ([("working", 5)], [("done", 5)])
    assert ground.effects() == ["grant.ended 1"]


@pytest.mark.parametrize("end", ENDS)
def test_d3_without_the_fence_it_decides_what_becomes_of_the_event(
    ground: Ground, end: Callable[[], Handler], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The negative control of the test above."""
    monkeypatch.setattr("shared.outbox._held", lambda table, event: and_(table.c.id == event.id, at_work(table)))
    between, _ = overtaken(ground, end)
    assert between != [("working", 5)]
    assert ground.effects() != ["grant.ended 1"]


def at_work(table: Table) -> ColumnElement[bool]:
    """Whoever it is that acts on the event."""
    return table.c.state == "working"


def test_an_event_whose_worker_was_killed_is_acted_on_once_by_the_next(ground: Ground) -> None:
    published(ground)
    (event,) = taken(ground)

    def killed(session: Session, event: Event) -> None:
        act(session, event)
        raise SystemExit  # nothing catches it on the way out: neither `done` nor a failure is written

    with pytest.raises(SystemExit):
        deliver(ground.database, outbox, {"grant.ended": killed}, event)
    assert (ground.effects(), states(ground), taken(ground)) == ([], [("working", 1)], [])

    ground.sql(LEASE_OVER)
    deliver(ground.database, outbox, TASKS, taken(ground)[0])
    assert (ground.effects(), states(ground)) == (["grant.ended 1"], [("done", 2)])


def test_a_failing_event_is_tried_five_times_then_dead_with_its_reason_and_others_go_on(ground: Ground) -> None:
    published(ground, 2)
    poison, good = taken(ground)
    deliver(ground.database, outbox, TASKS, good)
    for attempt in range(1, MAX_ATTEMPTS + 1):
        with pytest.raises(LookupError):
            deliver(ground.database, outbox, {"grant.ended": failing}, poison)
        assert states(ground)[0] == ("dead" if attempt == MAX_ATTEMPTS else "pending", attempt)
        ground.sql(LEASE_OVER)
        assert taken(ground) == ([] if attempt == MAX_ATTEMPTS else [poison])

    assert states(ground) == [("dead", 5), ("done", 1)]
    assert ground.sql("select error from ground.outbox where state = 'dead'") == [("LookupError('no use')",)]
    assert ground.effects() == ["grant.ended 2"]


def test_a_failure_is_waited_out_longer_each_time(ground: Ground) -> None:
    published(ground)
    for attempt in (1, 2):
        with pytest.raises(LookupError):
            deliver(ground.database, outbox, {"grant.ended": failing}, *taken(ground))
        ((wait,),) = ground.sql("select extract(epoch from due_at - clock_timestamp()) from ground.outbox")
        assert attempt - 0.5 < float(str(wait)) <= attempt
        ground.sql(LEASE_OVER)


def blocked(session: Session, _event: Event) -> None:
    """A handler that somebody keeps from its table."""
    session.execute(text("set local lock_timeout = '10ms'"))
    session.execute(insert(effects).values(what="never"))


def crowded_out(_session: Session, _event: Event) -> None:
    """A handler that gets no connection."""
    raise PoolTimeout


@pytest.mark.parametrize("handler", [blocked, crowded_out])
def test_while_the_database_is_out_of_reach_an_event_waits_and_no_attempt_is_counted(
    ground: Ground, handler: Handler
) -> None:
    published(ground)
    with psycopg.connect(ground.owner_url) as holding:
        holding.execute("lock table ground.effects in access exclusive mode")
        for _ in range(2 * MAX_ATTEMPTS):
            deliver(ground.database, outbox, {"grant.ended": handler}, *taken(ground))
            assert states(ground) == [("pending", 0)]
            ground.sql(LEASE_OVER)
        holding.rollback()
    deliver(ground.database, outbox, TASKS, *taken(ground))
    assert (ground.effects(), states(ground)) == (["grant.ended 1"], [("done", 1)])


def raising(code: str) -> Handler:
    """A handler whose statement ends with this SQLSTATE."""

    def handle(session: Session, _event: Event) -> None:
        session.execute(text(f"do $$ begin raise exception 'no' using errcode = '{code}'; end $$"))

    return handle


@pytest.mark.parametrize(
    ("code", "minutes", "then"),
    [
        ("53100", 120, ("pending", 0)),  # the disk is full
        ("40P01", 120, ("pending", 0)),  # a deadlock
        ("58030", 9999, ("pending", 0)),  # the disk fails
        ("57014", 24 * 60 - 2, ("pending", 0)),  # too slow, which the database may be
        ("57014", 24 * 60 + 2, ("dead", MAX_ATTEMPTS)),  # too slow for a day: the event is
        ("54000", 0, ("dead", MAX_ATTEMPTS)),  # too much in one statement
        ("55000", 0, ("dead", MAX_ATTEMPTS)),  # not in this state
    ],
)
def test_d3_what_the_database_always_refuses_is_given_up_and_what_passes_is_not(
    ground: Ground, code: str, minutes: int, then: tuple[str, int]
) -> None:
    published(ground)
    ground.sql("update ground.outbox set created_at = created_at - %s * interval '1 minute'", minutes)
    for _ in range(2 * MAX_ATTEMPTS):
        for event in taken(ground):
            with suppress(OperationalError):
                deliver(ground.database, outbox, {"grant.ended": raising(code)}, event)
        ground.sql(LEASE_OVER)
    assert states(ground) == [then]


@pytest.mark.parametrize(("age", "pause"), [(0, 1), (4, 4), (600, 10)])
def test_it_waits_longer_the_longer_that_lasts_up_to_ten_seconds(ground: Ground, age: int, pause: int) -> None:
    published(ground)
    ground.sql("update ground.outbox set created_at = created_at - %s * interval '1 second'", age)
    deliver(ground.database, outbox, {"grant.ended": crowded_out}, *taken(ground))
    ((wait,),) = ground.sql("select extract(epoch from due_at - clock_timestamp()) from ground.outbox")
    assert pause - 0.5 < float(str(wait)) <= pause + 2


def test_an_event_that_kills_its_workers_is_given_up_after_five(ground: Ground) -> None:
    published(ground)

    def killing(_session: Session, _event: Event) -> None:
        raise SystemExit

    for _ in range(MAX_ATTEMPTS):
        with pytest.raises(SystemExit):
            deliver(ground.database, outbox, {"grant.ended": killing}, *taken(ground))
        ground.sql(LEASE_OVER)
    deliver(ground.database, outbox, {"grant.ended": killing}, *taken(ground))

    assert ground.sql("select state, error from ground.outbox") == [("dead", "the worker died of it")]


@pytest.mark.parametrize("attempt", [1, 3, 5])
def test_leases_run_out_apart_so_that_an_event_that_kills_does_not_take_the_same_others_along(
    ground: Ground, attempt: int
) -> None:
    published(ground, 20)
    ground.sql("update ground.outbox set attempts = %s", attempt - 1)

    def killed(_session: Session, _event: Event) -> None:
        raise SystemExit

    for event in taken(ground):
        with pytest.raises(SystemExit):
            deliver(ground.database, outbox, {"grant.ended": killed}, event)
    ((spread,),) = ground.sql("select extract(epoch from max(due_at) - min(due_at)) from ground.outbox")
    assert float(str(spread)) > attempt * SPREAD.total_seconds() / 2


def test_an_errand_holds_no_transaction_while_it_runs_and_is_written_down_with_done(ground: Ground) -> None:
    published(ground)
    others = "select count(*) from pg_stat_activity where datname = %s and state like 'idle in transaction%%'"
    seen: list[object] = []

    def run(_database: Database, _event: Event) -> Handler:
        seen.extend(states(ground) + ground.sql(others, ground.name))
        return act

    deliver(ground.database, outbox, {"grant.ended": Errand(run, timedelta(minutes=1))}, *taken(ground))
    assert seen == [("working", 1), (0,)]
    assert (ground.effects(), states(ground)) == (["grant.ended 1"], [("done", 1)])


def test_an_errand_has_a_lease_of_its_own(ground: Ground) -> None:
    published(ground)
    left = "select extract(epoch from due_at - clock_timestamp()) from ground.outbox"
    leases: list[float] = []

    def run(_database: Database, _event: Event) -> Handler:
        leases.extend(float(str(seconds)) for (seconds,) in ground.sql(left))
        return act

    deliver(ground.database, outbox, {"grant.ended": Errand(run, timedelta(minutes=1))}, *taken(ground))
    assert 59 < leases[0] < 63


def test_an_errand_whose_turn_has_not_come_is_due_later_and_was_not_tried(ground: Ground) -> None:
    published(ground)

    def wait(_database: Database, _event: Event) -> Handler:
        raise NotNow(timedelta(seconds=2))

    for _ in range(MAX_ATTEMPTS + 1):
        deliver(ground.database, outbox, {"grant.ended": Errand(wait, timedelta(minutes=1))}, *taken(ground))
        left = "select state, attempts, extract(epoch from due_at - clock_timestamp()) from ground.outbox"
        [(state, attempts, seconds)] = ground.sql(left)
        assert (state, attempts, 1 < float(str(seconds)) <= 2) == ("pending", 0, True)
        ground.sql(LEASE_OVER)
    deliver(ground.database, outbox, TASKS, *taken(ground))
    assert ground.effects() == ["grant.ended 1"]


def test_d3_what_commits_late_is_handed_over_all_the_same(ground: Ground) -> None:
    with ground.database.transaction() as late:
        publish(late, outbox, "grant.ended", {"number": 1})
        published(ground)
        seen = taken(ground)
        assert len(seen) == 1
    assert len(taken(ground)) == 1


def test_d3_a_cursor_would_have_lost_what_commits_late(ground: Ground) -> None:
    """The negative control of the test above."""
    newer = "select id from ground.outbox where id > %s order by id"
    with ground.database.transaction() as late:
        publish(late, outbox, "grant.ended", {"number": 1})
        published(ground)
        ((last,),) = ground.sql(newer, UUID(int=0))
    assert ground.sql(newer, last) == []


@pytest.mark.parametrize("tasks", [{}, {"grant.ended": failing}])
def test_a_dead_event_can_be_replayed(ground: Ground, tasks: dict[str, Callable[[Session, Event], None]]) -> None:
    published(ground)
    for _ in range(MAX_ATTEMPTS):
        with pytest.raises(LookupError):
            deliver(ground.database, outbox, tasks, *taken(ground))
        ground.sql(LEASE_OVER)
    with ground.database.transaction() as session:
        assert replay(session, outbox) == 1
    deliver(ground.database, outbox, TASKS, *taken(ground))

    assert ground.effects() == ["grant.ended 1"]
