"""R2 and R5, what is rare made certain: overtaken lookups, paused replicas, a kill, a restore, an owner away."""

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
from tests.faults.sides import Between, Sides, give, people, read, read_patiently, remembered, revoke
from tests.faults.test_revocation import known, me
from tests.faults.trials import BUSY, answered, patiently, seen, timed
from tests.proof import PROOF, figure

MAY = "/internal/may"
AT_ONCE = 5
OVERTAKEN = 200 if PROOF else 1  # times as many at once
OWNERS = 500 if PROOF else 2  # times both
PAUSED = 20 if PROOF else 1
KILLED = 20 if PROOF else 1
PAUSES = (0.2, 1.0) if PROOF else (0.2,)


def test_r2_a_revoke_overtakes_a_lookup(sides: Sides, between: Between) -> None:
    """Several at once: all their answers are kept back until all of them are revoked."""
    quants = [sides.quant() for _ in range(AT_ONCE)]
    with ExitStack() as stack, ThreadPoolExecutor(2 * AT_ONCE) as aside:
        ops = stack.enter_context(sides.staff(0, "ops"))
        readers = [stack.enter_context(sides.client(1, quant["key"])) for quant in quants]

        def overtaken() -> tuple[int, ...]:
            grants = [give(ops, quant["account"]) for quant in quants]
            with between.keeping_back(MAY):
                early = [aside.submit(read, reader) for reader in readers]
                held = [between.holding.acquire(timeout=5) for _ in readers]
                for revoked in aside.map(lambda grant: patiently(lambda: revoke(ops, grant)), grants):
                    assert revoked.status_code == 200
            statuses = *(one.result() for one in early), *aside.map(read, readers)
            return statuses if all(held) else (*statuses, BUSY)

        for _ in range(OVERTAKEN):
            assert answered(overtaken) == (200,) * AT_ONCE + (403,) * AT_ONCE  # the first ones started before
    figure(f"{OVERTAKEN * AT_ONCE} lookups overtaken by a revoke", stale=0)


def test_r2_two_owners_answer_from_their_database_and_not_from_memory(sides: Sides) -> None:
    """What one of them was told a moment ago, the other one says: each time both sides ask their own."""
    quant = sides.quant()
    with people(sides, quant["key"]) as (ops, _, readers), ThreadPoolExecutor(2) as at_once:

        def told(here: int) -> tuple[int, ...]:
            before = list(at_once.map(read, readers))
            grant = give(ops[here], quant["account"])
            allowed = list(at_once.map(read, readers))
            revoked = patiently(lambda: revoke(ops[1 - here], grant)).status_code
            return *before, *allowed, revoked, *at_once.map(read, readers)

        for number in range(2 * OWNERS):
            assert answered(lambda here=number % 2: told(here)) == (403, 403, 200, 200, 200, 403, 403)  # type: ignore[misc]
    figure(f"{2 * OWNERS} grants given at one owner and revoked at the other", wrong=0)


@pytest.mark.parametrize(("joining", "late"), [(False, 403), (True, 200)], ids=["as it is", "control: joining"])
def test_r2_a_read_does_not_join_a_lookup_under_way(sides: Sides, between: Between, joining: bool, late: int) -> None:
    quant = sides.quant()
    with people(sides, quant["key"]) as (ops, _, readers), ThreadPoolExecutor(2) as aside:

        def joined() -> tuple[int, ...]:
            grant = give(ops[0], quant["account"])
            with sides.client(1, quant["key"]) as other:
                with between.keeping_back(MAY, joining=joining):
                    early = aside.submit(read, readers[1])
                    assert between.holding.acquire(timeout=10)
                    patiently(lambda: revoke(ops[0], grant))
                    after = aside.submit(read, other)
                    time.sleep(WINDOW)
                return early.result(), after.result()

        assert answered(joined) == (200, late)


@contextmanager
def paused(pid: int, seconds: float) -> Iterator[None]:
    """A process stands still in the block, and that much longer."""
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
        time.sleep(seconds)
    finally:
        os.kill(pid, signal.SIGCONT)


@pytest.mark.parametrize("pause", PAUSES)
@pytest.mark.parametrize("replica", ["pricing2", "gateway2"])
def test_r2_a_replica_is_paused(sides: Sides, replica: str, pause: float) -> None:
    if replica not in sides.platform.children:
        pytest.skip("composed, the gateway's process holds all services")
    quant = sides.quant()
    with people(sides, quant["key"]) as (ops, _, readers), ThreadPoolExecutor(1) as aside:

        def resumed() -> tuple[int, ...]:
            grant = give(ops[0], quant["account"])
            remembered(readers[1])
            with paused(sides.platform.children[replica].pid, pause):
                assert patiently(lambda: revoke(ops[0], grant)).status_code == 200
                late = aside.submit(read, readers[1])
            return (late.result(),)

        for _ in range(PAUSED):
            assert answered(resumed) == (403,)
    figure(f"{PAUSED} pauses of {replica} for {pause} s during a revoke", stale=0)


def test_r2_a_paused_gateway_does_not_take_a_revoked_key(sides: Sides) -> None:
    gateway = sides.platform.children["gateway2"]
    with people(sides, "") as (_, admin, _nobody), ThreadPoolExecutor(1) as aside:

        def resumed() -> tuple[int, ...]:
            quant = sides.quant()
            with sides.client(1, quant["key"]) as reader:
                time.sleep(2 * WINDOW)
                before = me(reader), me(reader)
                with paused(gateway.pid, 0.1):
                    revoked = patiently(lambda: admin[0].delete(f"/v1/api-keys/{quant['id']}"))
                    late = aside.submit(me, reader)
                return *before, revoked.status_code, late.result()

        for _ in range(PAUSED):
            assert answered(resumed) == (200, 200, 204, 401)
    figure(f"{PAUSED} pauses of a gateway while a key is revoked", stale=0)


def test_r2_an_older_database_is_restored(sides: Sides) -> None:
    """Grant and key were made after the backup, so they are gone, and the counts are where they were."""
    quant = sides.quant()
    with people(sides, quant["key"]) as (ops, _, readers), ExitStack() as stack:
        for reader in readers:
            assert patiently(lambda reader=reader: reader.get("/v1/me")).status_code == 200  # type: ignore[misc]
        with sides.backup() as restore:
            late = sides.quant()
            holders = [stack.enter_context(sides.client(side, late["key"])) for side in range(2)]
            give(ops[0], quant["account"])
            known(*holders)
            remembered(*readers)
            restore()

            def unnoticed() -> bool:
                time.sleep(WINDOW)
                opened = [
                    holder.get("/v1/grants").status_code for holder in holders
                ]  # which asks nothing about the key
                return [*opened, *(read_patiently(reader) for reader in readers)] == [200] * 4

            assert sides.sql("select count(*) from entitlements.grants where account = %s", quant["account"]) == [(0,)]
            assert sides.sql("select count(*) from gateway.api_keys where id = %s", late["id"]) == [(0,)]
            assert seen(unnoticed)  # the control: nobody changed the epoch
        sides.migrate()
        time.sleep(WINDOW + MARGIN)
        assert [read_patiently(reader) for reader in readers] == [403, 403]
        assert [patiently(lambda one=one: one.get("/v1/me")).status_code for one in holders] == [401, 401]  # type: ignore[misc]


@pytest.mark.parametrize("_time", range(KILLED))
def test_r2_an_owner_is_killed_between_commit_and_answer(sides: Sides, _time: int) -> None:
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
        again, seconds = timed(lambda: revoke(ops[1], grant))
        assert (again.status_code, seconds >= WINDOW + MARGIN) == (200, True)
        assert read_patiently(readers[1]) == 403
    audited = "select count(*) from entitlements.audit_events where action = 'grant.revoked' and subject = %s"
    assert sides.sql(audited, str(UUID(grant))) == [(1,)]
    sides.platform.children[owner].process.wait()
    sides.platform.start(owner)
    sides.platform.await_ready(owner)
    sides.platform.await_ready("gateway")


@pytest.mark.parametrize("_time", range(KILLED))
def test_r2_a_gateway_is_killed_between_the_end_of_a_key_and_its_answer(sides: Sides, _time: int) -> None:
    quant = sides.quant()
    path = f"/v1/api-keys/{quant['id']}"
    with people(sides, quant["key"]) as (_, admin, readers), ThreadPoolExecutor(1) as aside:
        known(readers[1])
        lost = aside.submit(attempt, lambda: admin[0].delete(path))
        while sides.sql("select revoked_at is not null from gateway.api_keys where id = %s", quant["id"]) != [(True,)]:
            time.sleep(0.005)
        sides.platform.children["gateway"].process.kill()
        assert lost.result() != 204
        again, seconds = timed(lambda: admin[1].delete(path))
        assert (again.status_code, seconds >= WINDOW + MARGIN) == (204, True)
        assert patiently(lambda: readers[1].get("/v1/me")).status_code == 401
    revoked = "select count(*) from gateway.audit_events where action = 'api-key.revoked' and subject = %s"
    assert sides.sql(revoked, quant["id"]) == [(1,)]
    sides.platform.children["gateway"].process.wait()
    sides.platform.start("gateway")
    sides.platform.await_ready("gateway")


def attempt(call: Callable[[], httpx.Response]) -> int:
    """The status, or 0 when no answer came."""
    try:
        return call().status_code
    except httpx.HTTPError:
        return 0


def memory_then_503(reader: httpx.Client) -> None:
    """From now on memory may answer for one window, and then nothing is ever read."""
    ended = time.monotonic()
    told: list[tuple[float, int]] = []
    while (began := time.monotonic() - ended) < 1 or len(told) < 3:
        told.append((began, read(reader)))
    assert {status for _, status in told} <= {200, BUSY}
    assert {status for began, status in told if began >= WINDOW} == {BUSY}


def test_r5_owner_out_of_reach_memory_until_its_window_ends_then_503(sides: Sides) -> None:
    if "entitlements2" not in sides.platform.children:
        pytest.skip("composed, the owner lives in the gateway's process")
    owner, quant = sides.platform.children["entitlements2"], sides.quant()
    with people(sides, quant["key"]) as (ops, _, readers):
        give(ops[0], quant["account"])
        remembered(readers[1])
        owner.process.kill()
        owner.process.wait()
        memory_then_503(readers[1])
    sides.platform.start("entitlements2")
    sides.platform.await_ready("entitlements2")


def test_r5_owner_s_database_out_of_reach_memory_until_its_window_ends_then_503(sides: Sides) -> None:
    quant = sides.quant()
    with people(sides, quant["key"]) as (ops, _, readers):
        give(ops[0], quant["account"])
        remembered(readers[1])
        with sides.without("entitlements"):
            memory_then_503(readers[1])
        assert read_patiently(readers[1]) == 200
