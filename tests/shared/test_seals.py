"""Sealed audit rows: whatever is changed, removed or slipped in, by whomever, is found, and the row is named."""

import asyncio
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import timedelta

import psycopg
import pytest
from sqlalchemy import func, insert, select, text
from sqlalchemy.exc import OperationalError

from services.catalog.database import audit_events, trail
from shared.application import create_app
from shared.audit import record
from shared.database import Database
from shared.principal import Principal
from shared.seals import BATCH, Verdict, _hash, _unsealed, seal, verify
from tests.conftest import Stores
from tests.shared.ground import calling, module_named, settings_on, until

WHO = Principal(role="service", name="tests")
FORGED = """insert into audit_events (id, at, actor, action, subject, data) overriding system value
    values (4, now() - interval '1 hour', 'tests', 'dataset.added', 'FORGED', '{}')"""

HIDING = """insert into audit_seals (number, at, last_id, ids, digests, prev_hash, hash)
    values (NUMBER, now(), 4, array[4], array[]::bytea[], '', '')"""


class Book:
    """A trail as its service writes it, and as the database's superuser, whom no trigger stops, can get at it."""

    def __init__(self, stores: Stores, database: Database) -> None:
        self._url = stores.database_url
        self.database = database

    def write(self, *subjects: str) -> list[int]:
        """Record something about each; the ids."""
        with self.database.transaction() as session:
            for subject in subjects:
                record(session, audit_events, actor=WHO, action="dataset.added", subject=subject, data={"n": 1})
            return list(session.scalars(select(audit_events.c.id).order_by(audit_events.c.id)))[-len(subjects) :]

    def seal(self) -> int:
        """Seal once."""
        with self.database.transaction() as session:
            return seal(session, trail)

    def verify(self, head: str | None = None) -> Verdict:
        """What the proof says."""
        with self.database.transaction() as session:
            return verify(session, trail, head)

    def fault(self, head: str | None = None) -> tuple[int | None, int | None, str]:
        """What it says is broken."""
        verdict = self.verify(head)
        assert verdict.broken is not None
        assert not verdict.ok
        return verdict.broken.event, verdict.broken.seal, verdict.broken.why

    def tamper(self, *statements: str) -> None:
        """As the superuser, triggers off."""
        with closing(psycopg.connect(self._url, autocommit=True)) as owner:
            owner.execute("set session_replication_role = replica")
            owner.execute("set search_path = catalog")
            for statement in statements:
                owner.execute(statement.encode())


@pytest.fixture(scope="module")
def shelf(module_stores: Stores) -> Iterator[Book]:
    """The catalog's trail, in a database of the module's own."""
    with closing(Database(module_stores.app_url("catalog"))) as database:
        yield Book(module_stores, database)


@pytest.fixture
def book(shelf: Book) -> Book:
    """Two seals over three rows each, with a gap between their ids."""
    shelf.tamper("truncate audit_events, audit_seals restart identity")
    for subjects in ("ABC", "DEF"):
        shelf.write(*subjects)
        assert shelf.seal() == 3
        with pytest.raises(LookupError), shelf.database.transaction() as session:  # noqa: PT012
            record(session, audit_events, actor=WHO, action="x", subject="undone", data={})
            raise LookupError
    return shelf


def test_what_nobody_touched_is_in_order(book: Book) -> None:
    sealed = book.verify()
    book.write("G")
    assert (sealed.ok, sealed.events, sealed.unsealed, sealed.broken) == (True, 6, 0, None)
    waiting = book.verify()
    assert (waiting.ok, waiting.events, waiting.unsealed, waiting.head) == (True, 6, 1, sealed.head)
    assert (book.seal(), book.seal()) == (1, 0)
    assert book.verify().head != sealed.head


@pytest.mark.parametrize(
    "change",
    [
        "at = at + interval '1 microsecond'",
        "actor = 'somebody else'",
        "action = 'dataset.changed'",
        "subject = 'Z'",
        """data = '{"n": 1.0}'""",
        """data = '{"n": 1, "m": null}'""",
    ],
)
def test_a_change_of_any_column_is_found(change: str, book: Book) -> None:
    book.tamper("update audit_events set CHANGE where id = 5".replace("CHANGE", change))
    assert book.fault() == (5, 2, "changed")
    assert book.verify().events == 3


def test_the_changes_tested_are_of_every_column(book: Book) -> None:
    assert {column.name for column in audit_events.columns} == {"id", "at", "actor", "action", "subject", "data"}


def test_a_row_that_was_given_another_id_is_found(book: Book) -> None:
    book.tamper("alter table audit_events alter id drop identity", "update audit_events set id = 4 where id = 2")
    book.tamper("alter table audit_events alter id add generated always as identity")
    assert book.fault() == (2, 1, "missing")


@pytest.mark.parametrize(("event", "number"), [(1, 1), (2, 1), (6, 2), (7, 2)])
def test_a_row_that_was_removed_is_found_also_the_last(event: int, number: int, book: Book) -> None:
    book.tamper("delete from audit_events where id = EVENT".replace("EVENT", str(event)))
    assert book.fault() == (event, number, "missing")


def test_a_row_that_was_slipped_in_is_found_before_the_next_seal_and_after(book: Book) -> None:
    book.tamper(FORGED)
    assert book.fault() == (4, None, "not-sealed")
    book.seal()
    assert book.fault() == (4, 3, "slipped-in")


@pytest.mark.parametrize(
    ("change", "number"),
    [
        ("at = at - interval '1 microsecond'", 1),
        ("last_id = last_id + 1", 1),
        ("ids[2] = 4", 1),
        ("digests[2] = digests[1]", 1),
        ("prev_hash = hash", 1),
        ("hash = prev_hash", 1),
        ("number = 3", 2),
    ],
)
def test_a_change_of_a_seal_is_found(change: str, number: int, book: Book) -> None:
    book.tamper(
        "update audit_seals set CHANGE where number = SEAL".replace("CHANGE", change).replace("SEAL", str(number))
    )
    assert book.fault()[1:] == (3 if "number" in change else number, "seal-changed")


def test_a_seal_that_was_removed_is_found(book: Book) -> None:
    book.tamper("delete from audit_seals where number = 1")
    assert book.fault() == (None, 2, "seal-changed")


@pytest.mark.parametrize("number", [0, -1])
def test_a_seal_before_the_first_hides_no_row(number: int, book: Book) -> None:
    book.tamper(FORGED, HIDING.replace("NUMBER", str(number)))
    assert book.fault() == (None, number, "seal-changed")


@pytest.mark.parametrize("last_id", [7, 0])
def test_a_seal_that_says_it_is_older_lets_no_row_slip_in(last_id: int, book: Book) -> None:
    with book.database.transaction() as session:
        last = session.execute(select(trail.seals).order_by(trail.seals.c.number.desc()).limit(1)).one()
        empty = {"number": 3, "at": last.at - timedelta(days=1), "last_id": last_id, "ids": [], "digests": []}
        empty |= {"prev_hash": last.hash}
        session.execute(insert(trail.seals).values(**empty, hash=_hash(empty)))
    book.tamper(FORGED)
    assert book.fault() == (4, None, "not-sealed")
    assert book.seal() == 1
    assert book.fault() == (4, 4, "slipped-in")


def test_no_row_slips_in_after_a_full_seal(book: Book) -> None:
    book.write(*("many" for _ in range(BATCH)))
    assert book.seal() == BATCH
    book.tamper(FORGED.replace("(4, now() - interval '1 hour'", "(2000, now() - interval '1 hour'"))
    assert book.seal() == 1
    assert book.fault() == (2000, 4, "slipped-in")


def test_a_row_that_no_seal_will_take_is_found_also_if_it_says_it_is_to_come(book: Book) -> None:
    book.tamper("alter table audit_events alter id restart with 20000")
    book.write("G")
    assert book.seal() == 1
    book.tamper(FORGED.replace("now() - interval '1 hour'", "now() + interval '1 year'"))
    assert book.seal() == 0
    assert book.fault() == (4, None, "not-sealed")


def test_a_head_that_was_noted_is_met_again_when_the_chain_has_grown(book: Book) -> None:
    noted = book.verify().head
    book.write("G")
    book.seal()
    assert (book.verify(noted).ok, book.fault("0" * 64)) == (True, (None, None, "head-missing"))


@pytest.mark.parametrize(
    "taken",
    [
        ("truncate audit_events, audit_seals",),
        ("delete from audit_seals where number = 2", "delete from audit_events where id > 3"),
        ("update audit_events set subject = 'Z' where id = 6", "truncate audit_seals"),
    ],
)
def test_a_head_that_was_noted_tells_what_was_taken_away_though_the_rest_is_whole(
    taken: tuple[str, ...], book: Book
) -> None:
    noted = book.verify().head
    book.tamper(*taken)
    book.write("G")
    book.seal()
    assert book.verify().ok
    assert book.fault(noted) == (None, None, "head-missing")


def test_a_row_that_is_committed_after_a_later_one_is_sealed_too(book: Book) -> None:
    with book.database.transaction() as slow:
        record(slow, audit_events, actor=WHO, action="x", subject="slow", data={})
        (late,) = slow.scalars(select(func.max(audit_events.c.id))).all()
        (quick,) = book.write("quick")
        assert (late < quick, book.seal()) == (True, 1)
    assert book.verify().unsealed == 1
    with book.database.transaction() as session:  # the control: whoever goes on after the last id skips it
        rest = select(func.count()).where(audit_events.c.id > select(func.max(trail.seals.c.last_id)).scalar_subquery())
        assert session.execute(rest).scalar_one() == 0
    assert book.seal() == 1
    verdict = book.verify()
    assert (verdict.ok, verdict.events, verdict.unsealed) == (True, 8, 0)


def test_many_who_write_and_many_who_seal_leave_one_whole_chain(book: Book) -> None:
    def work(number: int) -> None:
        for _ in range(20):
            book.write("W", "X") if number % 2 else book.seal()

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(work, range(8)))
    while book.seal():
        pass
    verdict = book.verify()
    assert (verdict.ok, verdict.events, verdict.unsealed) == (True, 6 + 4 * 20 * 2, 0)


def test_more_than_a_batch_is_sealed_in_batches(book: Book) -> None:
    book.write(*("many" for _ in range(BATCH + 1)))
    assert [book.seal() for _ in range(3)] == [BATCH, 1, 0]
    assert book.verify().events == BATCH + 7


@pytest.mark.anyio
async def test_a_running_service_seals_by_itself(book: Book, module_stores: Stores) -> None:
    book.write("G")
    settings = settings_on(module_stores.app_url("catalog"))
    async with calling(create_app(module_named(trail=trail), settings)):
        assert await asyncio.to_thread(until, lambda: book.verify().unsealed == 0)


LONG = (
    "truncate audit_events, audit_seals restart identity",
    "insert into audit_events (at, actor, action, subject, data)"
    " select now(), 'tests', 'x', 'y', '{}' from generate_series(1, 30000)",
    "insert into audit_seals (number, at, last_id, ids, digests, prev_hash, hash)"
    " select id, now(), id, array[id], array['x'::bytea], 'x', 'x' from audit_events",
    "analyze audit_events, audit_seals",
)
NOT_IN = "select count(*) from catalog.audit_events where id not in (select unnest(ids) from catalog.audit_seals)"


def test_a_trail_that_does_not_fit_into_memory_is_gone_through_once_and_not_once_for_each_row(book: Book) -> None:
    book.tamper(*LONG)
    with book.database.transaction() as session:  # statements end after 1.2 s
        session.execute(text("set local work_mem = '64kB'"))
        assert (seal(session, trail), _unsealed(session, trail, 0)) == (0, (0, None))
        with pytest.raises(OperationalError, match="timeout"):  # the control
            session.execute(text(NOT_IN))
        session.rollback()
