"""The owner's count on the real PostgreSQL, and the wait before a revoke answers."""

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from uuid import UUID, uuid4

import anyio
import pytest
from fastapi import APIRouter
from sqlalchemy import event, text

from shared.application import Transaction, create_app
from shared.coherence.owner import _raising, changes_since, must_settle, raise_change, stamp_columns
from shared.coherence.stamp import MARGIN, WINDOW, name_of
from shared.errors import NotFound
from shared.identity import HEADER, Signer
from shared.principal import Principal
from tests.shared.ground import PRIVATE, Ground, calling, feed, module_named

AFTER = WINDOW + MARGIN


@contextmanager
def statements(ground: Ground) -> Iterator[list[str]]:
    seen: list[str] = []

    def note(_connection: object, _cursor: object, statement: str, *_: object) -> None:
        seen.append(statement)

    event.listen(ground.database.engine, "before_cursor_execute", note)
    yield seen
    event.remove(ground.database.engine, "before_cursor_execute", note)


def names(ground: Ground) -> list[tuple[int, str]]:
    return [(n, name) for n, name in ground.sql("select number, name from ground.changes order by number, name")]


def change(ground: Ground, *changed: str) -> None:
    with ground.database.transaction() as session:
        raise_change(session, feed, changed)


def test_the_count_is_raised_as_the_transaction_s_last_statement_and_once(ground: Ground) -> None:
    with statements(ground) as seen, ground.database.transaction() as session:
        raise_change(session, feed, ["b", "a"])
        session.execute(text("insert into ground.effects (what) values ('revoked')"))
        raise_change(session, feed, ["a", "c"])
        with session.begin_nested():
            session.execute(text("insert into ground.effects (what) values ('told')"))
        session.execute(text("select 1"))
    assert "coherence" in seen[-1]
    assert sum("coherence" in statement for statement in seen) == 1
    assert names(ground) == [(1, "a"), (1, "b"), (1, "c")]


def test_what_is_undone_is_not_counted(ground: Ground) -> None:
    def undone() -> None:
        with ground.database.transaction() as session:
            raise_change(session, feed, ["a"])
            raise NotFound

    with pytest.raises(NotFound):
        undone()
    assert (names(ground), ground.sql("select number from ground.coherence")) == ([], [(0,)])


def test_numbers_become_visible_in_order_as_those_of_a_sequence_do_not(ground: Ground) -> None:
    ground.sql("create sequence ground.numbers")
    with ThreadPoolExecutor(1) as aside, ground.database.engine.begin() as first:
        first.execute(_raising(feed), {"names": ["first"]})
        taken = first.execute(text("select 1")).scalar()
        second = aside.submit(change, ground, "second")
        time.sleep(0.2)
        assert (taken, second.done(), names(ground)) == (1, False, [])
        assert ground.sql("select nextval('ground.numbers')") == [(1,)]
        assert ground.sql("select nextval('ground.numbers')") == [(2,)]  # the control: nobody waits
        first.commit()
        second.result()
    assert names(ground) == [(1, "first"), (2, "second")]


def test_a_question_is_answered_from_one_statement(ground: Ground) -> None:
    for name in ("a", "b", "b"):
        change(ground, name)
    [(epoch,)] = ground.sql("select epoch from ground.coherence")
    with statements(ground) as seen:
        told = changes_since(ground.database, feed, after=1, epoch=epoch)
    assert len(seen) == 1
    assert (told.epoch, told.number, told.floor, list(told.names)) == (epoch, 3, 0, ["b"])
    assert abs(told.now.timestamp() - time.time()) < 60
    assert changes_since(ground.database, feed, after=3, epoch=epoch).names == []
    other = changes_since(ground.database, feed, after=0, epoch=uuid4())
    assert (other.epoch, other.number, other.names) == (epoch, 3, [])


def test_changes_are_kept_for_an_hour_and_the_floor_says_which_are_gone(ground: Ground) -> None:
    for name in ("a", "b", "c"):
        change(ground, name)
    ground.sql("update ground.changes set at = now() - interval '2 hours' where number <= 2")
    change(ground, "d")
    assert names(ground) == [(3, "c"), (4, "d")]
    assert ground.sql("select number, floor from ground.coherence") == [(4, 2)]


def test_a_fact_s_stamp_is_read_with_it(ground: Ground) -> None:
    change(ground, "a")
    with ground.database.transaction() as session:
        epoch, number = stamp_columns(feed)
        assert session.query(epoch, number).one() == (ground.sql("select epoch from ground.coherence")[0][0], 1)


def test_a_name_is_its_parts() -> None:
    assert (name_of(UUID(int=1), "BTC", None), name_of("k")) == ("00000000-0000-0000-0000-000000000001/BTC", "k")


router = APIRouter()


@router.post("/v1/revoke")
def revoke(session: Transaction) -> None:
    """Raises a change."""
    raise_change(session, feed, ["cell"])


@router.post("/v1/repeat")
def repeat(session: Transaction) -> None:
    """Sees it closed."""
    must_settle(session)


@router.post("/v1/refused")
def refused(session: Transaction) -> None:
    """Raises a change and does not commit it."""
    raise_change(session, feed, ["cell"])
    raise NotFound


@router.post("/v1/other")
def other(session: Transaction) -> None:
    """Raises none."""
    session.execute(text("select 1"))


@pytest.mark.anyio
async def test_what_raised_a_change_answers_after_the_window_holding_no_connection(ground: Ground) -> None:
    app = create_app(module_named(controllers=(router,), feed=feed), ground.settings)
    who = Principal(role="ops", name="Olga", account=uuid4())
    token = Signer(PRIVATE, issuer="gateway").token(who, "ground")
    took: dict[str, float] = {}
    async with calling(app, **{HEADER: token}) as client:

        async def call(path: str) -> None:
            began = time.monotonic()
            await client.post(f"/v1/{path}")
            took[path] = time.monotonic() - began

        await call("other")
        async with anyio.create_task_group() as group:
            for path in ("revoke", "repeat", "refused", "other"):
                group.start_soon(call, path)
            await anyio.sleep(AFTER - 0.1)
            assert app.state.database.engine.pool.checkedout() == 0
            assert names(ground) == [(1, "cell")]
    assert took["revoke"] >= AFTER
    assert took["repeat"] >= AFTER
    assert max(took["refused"], took["other"]) < AFTER


@pytest.mark.anyio
async def test_our_services_ask_for_changes(ground: Ground) -> None:
    change(ground, "a")
    public = ground.settings.identity_public_keys["gateway"]
    settings = ground.settings.model_copy(update={"identity_public_keys": {"pricing": public}})
    app = create_app(module_named(feed=feed), settings)
    token = Signer(PRIVATE, issuer="pricing").token(Principal(role="service", name="pricing"), "ground")
    [(epoch,)] = ground.sql("select epoch from ground.coherence")
    async with calling(app, **{HEADER: token}) as client:
        told = (await client.get(f"/internal/changes?after=0&epoch={epoch}&nonce=once")).json()
        assert (told["nonce"], told["epoch"], told["number"], told["names"]) == ("once", str(epoch), 1, ["a"])
        assert (await client.get("/internal/changes?after=x")).status_code == 422
