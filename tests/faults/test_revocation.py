"""R2 and R2b: no read that starts after a revoke answered succeeds, on either side; after an approval the next does.

The full form, 1,000 trials, runs with TICKGATE_PROOF=1.
"""

import os
import signal
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from uuid import UUID

import httpx
import pytest

from shared.coherence.stamp import MARGIN, WINDOW
from tests.conftest import cloned
from tests.faults.sides import Between, Sides, give, read, revoke, running_sides

PROOF = os.environ.get("TICKGATE_PROOF") == "1"
GRANTS = {"apart": 1000 if PROOF else 200, "composed": 1000 if PROOF else 40}
KEYS = {"apart": 1000 if PROOF else 100, "composed": 1000 if PROOF else 40}
THREADS = 10
CELLS = (("BTC", "1h"), ("BTC", "1d"), ("BTC", "1mo"), ("ETH", "1d"))


@pytest.fixture(scope="module", params=["apart", "composed"])
def sides(tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> Iterator[Sides]:
    """Two gateways, each with its services, in either home."""
    with cloned() as stores, running_sides(stores, tmp_path_factory.mktemp("sides"), home=request.param) as sides:
        yield sides


def home(sides: Sides) -> str:
    """Which home this is."""
    return "composed" if sides.between is None else "apart"


@pytest.fixture
def between(sides: Sides) -> Between:
    """What stands between the second pricing and its entitlements."""
    if sides.between is None:
        pytest.skip("composed, nothing stands between them")
    return sides.between


@contextmanager
def people(sides: Sides, key: str) -> Iterator[tuple[list[httpx.Client], list[httpx.Client], list[httpx.Client]]]:
    """Ops, admin and the holder of the key, each at both gateways."""
    with ExitStack() as stack:
        yield (
            [stack.enter_context(sides.staff(side, "ops")) for side in range(2)],
            [stack.enter_context(sides.staff(side, "admin")) for side in range(2)],
            [stack.enter_context(sides.client(side, key)) for side in range(2)],
        )


def in_threads(trials: int, work: Callable[[int, int], list[str]]) -> list[str]:
    """What went wrong in all trials, shared out to threads: `work(thread, trials)`."""
    with ThreadPoolExecutor(THREADS) as pool:
        return [wrong for found in pool.map(work, range(THREADS), [trials // THREADS] * THREADS) for wrong in found]


def grant_trials(sides: Sides, thread: int, trials: int) -> list[str]:
    quant, wrong = sides.quant(), []
    with people(sides, quant["key"]) as (ops, _, readers), ThreadPoolExecutor(2) as at_once:
        for trial in range(trials):
            side = (thread + trial) % 2
            cell = CELLS[trial % len(CELLS)]
            grant = give(ops[side], quant["account"], *cell)
            for _ in range(2):  # the first read asks, the second remembers
                seen = list(at_once.map(lambda reader, cell=cell: read(reader, *cell), readers))
                wrong += [f"refused: {status}" for status in seen if status != 200]
            revoked = revoke(ops[1 - side], grant)
            seen = list(at_once.map(lambda reader, cell=cell: read(reader, *cell), readers))
            wrong += [f"stale: {status}" for status in seen if status != 403]
            wrong += [] if revoked.status_code == 200 else [revoked.text]
    return wrong


def test_r2_grants_revoke_then_read_and_approve_then_read(sides: Sides) -> None:
    assert in_threads(GRANTS[home(sides)], lambda thread, trials: grant_trials(sides, thread, trials)) == []


def me(client: httpx.Client) -> int:
    return client.get("/v1/me").status_code


def key_trials(sides: Sides, thread: int, trials: int) -> list[str]:
    wrong = []
    with people(sides, "") as (_, admin, _nobody), ThreadPoolExecutor(2) as at_once:
        for trial in range(trials):
            side, quant = (thread + trial) % 2, sides.quant()
            with sides.client(0, quant["key"]) as here, sides.client(1, quant["key"]) as there:
                for _ in range(2):
                    wrong += [f"refused: {status}" for status in at_once.map(me, (here, there)) if status != 200]
                revoked = admin[side].delete(f"/v1/api-keys/{quant['id']}")
                wrong += [f"stale: {status}" for status in at_once.map(me, (here, there)) if status != 401]
                wrong += [] if revoked.status_code == 204 else [revoked.text]
    return wrong


def test_r2_keys_revoke_then_read_and_make_then_read(sides: Sides) -> None:
    assert in_threads(KEYS[home(sides)], lambda thread, trials: key_trials(sides, thread, trials)) == []


def remembered(reader: httpx.Client) -> None:
    """Read until a read was certainly answered from memory: twice while changes are told."""
    time.sleep(2 * WINDOW)
    assert [read(reader), read(reader)] == [200, 200]


CLOSE = "update entitlements.grants set closed_at = now(), close_reason = 'revoked' where id = %s"
RAISE = """with closed as (
        update entitlements.grants set closed_at = now(), close_reason = 'revoked' where id = %s
    ), raised as (update entitlements.coherence set number = number + 1 returning number)
    insert into entitlements.changes (number, name) select number, %s from raised"""


def test_control_a_revoke_that_raises_no_count_is_not_noticed(sides: Sides) -> None:
    quant = sides.quant()
    with people(sides, quant["key"]) as (ops, _, readers):
        grant = give(ops[0], quant["account"])
        for reader in readers:
            remembered(reader)
        sides.sql(CLOSE, grant)
        time.sleep(WINDOW + MARGIN)
        assert [read(reader) for reader in readers] == [200, 200]


def test_control_a_revoke_that_does_not_wait_is_read_past(sides: Sides) -> None:
    quant, stale = sides.quant(), 0
    with people(sides, quant["key"]) as (ops, _, readers):
        for _ in range(5):
            grant = give(ops[0], quant["account"])
            remembered(readers[1])
            sides.sql(RAISE, grant, f"{quant['account']}/BTC/1d")
            stale += read(readers[1]) == 200
            time.sleep(WINDOW + MARGIN)
            assert read(readers[1]) == 403
    assert stale > 0


def test_a_revoke_and_its_repeat_answer_only_when_the_window_is_over(sides: Sides) -> None:
    quant = sides.quant()
    with people(sides, quant["key"]) as (ops, admin, _):
        grant = give(ops[0], quant["account"])
        for side in range(2):
            began = time.monotonic()
            assert revoke(ops[side], grant).status_code == 200
            assert time.monotonic() - began >= WINDOW + MARGIN
            began = time.monotonic()
            assert admin[side].delete(f"/v1/api-keys/{quant['id']}").status_code == 204
            assert time.monotonic() - began >= WINDOW + MARGIN


@pytest.mark.parametrize("delay", [WINDOW - 0.05, WINDOW + 0.2])
def test_delayed_answers(sides: Sides, between: Between, delay: float) -> None:
    between.delay = delay
    try:
        assert in_threads(2 * THREADS, lambda thread, trials: grant_trials(sides, thread, trials)) == []
    finally:
        between.delay = 0.0


def test_a_lookup_that_a_revoke_overtakes(sides: Sides, between: Between) -> None:
    quant = sides.quant()
    with people(sides, quant["key"]) as (ops, _, readers), ThreadPoolExecutor(1) as aside:
        for _ in range(5):
            grant = give(ops[0], quant["account"])
            with between.keeping_back("/internal/may"):
                early = aside.submit(read, readers[1])
                assert between.holding.wait(10)
                revoke(ops[0], grant)
            assert early.result() == 200  # it started before
            assert read(readers[1]) == 403


def test_a_read_does_not_join_a_lookup_under_way(sides: Sides, between: Between) -> None:
    quant = sides.quant()
    with people(sides, quant["key"]) as (ops, _, readers), ThreadPoolExecutor(2) as aside:
        grant = give(ops[0], quant["account"])
        with sides.client(1, quant["key"]) as late:
            with between.keeping_back("/internal/may"):
                early = aside.submit(read, readers[1])
                assert between.holding.wait(10)
                revoke(ops[0], grant)
                after = aside.submit(read, late)
                time.sleep(0.3)
            assert (early.result(), after.result()) == (200, 403)


@pytest.mark.parametrize("pause", [0.2, 1.0])
def test_a_replica_that_is_paused(sides: Sides, pause: float) -> None:
    quant = sides.quant()
    replicas = [sides.platform.children[name] for name in ("pricing2", "gateway2") if name in sides.platform.children]
    with people(sides, quant["key"]) as (ops, _, readers), ThreadPoolExecutor(1) as aside:
        for replica in replicas:
            grant = give(ops[0], quant["account"])
            remembered(readers[1])
            os.kill(replica.pid, signal.SIGSTOP)
            try:
                assert revoke(ops[0], grant).status_code == 200
                late = aside.submit(read, readers[1])
                time.sleep(pause)
            finally:
                os.kill(replica.pid, signal.SIGCONT)
            assert late.result() == 403


def test_a_paused_gateway_does_not_take_a_revoked_key(sides: Sides) -> None:
    gateway = sides.platform.children["gateway2"]
    with people(sides, "") as (_, admin, _nobody), ThreadPoolExecutor(1) as aside:
        for _ in range(3):
            quant = sides.quant()
            with sides.client(1, quant["key"]) as reader:
                time.sleep(2 * WINDOW)
                assert [me(reader), me(reader)] == [200, 200]
                os.kill(gateway.pid, signal.SIGSTOP)
                try:
                    assert admin[0].delete(f"/v1/api-keys/{quant['id']}").status_code == 204
                    late = aside.submit(me, reader)
                    time.sleep(0.1)
                finally:
                    os.kill(gateway.pid, signal.SIGCONT)
                assert late.result() == 401


def test_an_older_database_is_restored(sides: Sides) -> None:
    """The grant was given after the backup, so it is gone, and the count is where it was."""
    quant = sides.quant()
    with people(sides, quant["key"]) as (ops, _, readers):
        grant = give(ops[0], quant["account"])
        for reader in readers:
            remembered(reader)
        sides.sql("delete from entitlements.grants where id = %s", grant)
        assert [read(reader) for reader in readers] == [200, 200]  # the control: nobody changed the epoch
        sides.migrate()
        time.sleep(WINDOW + MARGIN)
        assert [read(reader) for reader in readers] == [403, 403]


def test_an_owner_is_killed_between_commit_and_answer(sides: Sides) -> None:
    owner = "entitlements" if "entitlements" in sides.platform.children else "gateway"
    quant = sides.quant()
    with people(sides, quant["key"]) as (ops, _, readers), ThreadPoolExecutor(1) as aside:
        grant = give(ops[0], quant["account"])
        remembered(readers[1])
        lost = aside.submit(attempt, lambda: revoke(ops[0], grant))
        committed = "select count(*) from entitlements.grants where id = %s and closed_at is not null"
        while sides.sql(committed, grant) != [(1,)]:
            time.sleep(0.005)
        sides.platform.children[owner].process.kill()
        assert lost.result() != 200
        began = time.monotonic()
        assert revoke(ops[1], grant).status_code == 200
        assert time.monotonic() - began >= WINDOW + MARGIN
        assert read(readers[1]) == 403
    audited = "select count(*) from entitlements.audit_events where action = 'grant.revoked' and subject = %s"
    assert sides.sql(audited, str(UUID(grant))) == [(1,)]
    sides.platform.children[owner].process.wait()
    sides.platform.start(owner)
    sides.platform.await_ready(owner)
    sides.platform.await_ready("gateway")


def attempt(call: Callable[[], httpx.Response]) -> int:
    """The status, or 0 when no answer came."""
    try:
        return call().status_code
    except httpx.HTTPError:
        return 0


def test_r5_owner_out_of_reach_memory_until_its_window_ends_then_503(sides: Sides) -> None:
    if "entitlements2" not in sides.platform.children:
        pytest.skip("composed, the owner lives in the gateway's process")
    owner = sides.platform.children["entitlements2"]
    quant = sides.quant()
    with people(sides, quant["key"]) as (ops, _, readers):
        give(ops[0], quant["account"])
        remembered(readers[1])
        owner.process.kill()
        owner.process.wait()
        ended = time.monotonic()
        seen = []
        while time.monotonic() < ended + 1:
            began = time.monotonic() - ended
            seen.append((began, read(readers[1])))
        assert all(status == 503 for began, status in seen if began >= WINDOW)
        assert {status for _, status in seen} <= {200, 503}
        assert seen[-1][1] == 503
    sides.platform.start("entitlements2")
    sides.platform.await_ready("entitlements2")
