"""R2 and R2b: no read that starts after a revoke answered succeeds, on either side; after an approval the next does.

The full form, 1,000 trials each, runs with TICKGATE_PROOF=1, and with TICKGATE_PROOF=long ten times as many.
"""

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import httpx
import pytest

from shared.coherence.stamp import MARGIN, WINDOW
from tests.faults.sides import Between, Sides, give, people, read, read_patiently, remembered, revoke
from tests.faults.trials import Outcome, Setting, Trial, answered, patiently, seen, timed, verdicts
from tests.proof import LONG, PROOF, figure

TRIALS = 10_000 if LONG else 1_000 if PROOF else 50
DELAYED = 1_000 if PROOF else 10
CELLS = (("BTC", "1h"), ("BTC", "1d"), ("BTC", "1mo"), ("ETH", "1d"))


def grants(sides: Sides) -> Setting:
    """Each trial gives, reads on both sides, revokes on the other one, reads on both."""

    @contextmanager
    def setting(thread: int) -> Iterator[Trial]:
        quant = sides.quant()
        with people(sides, quant["key"]) as (ops, _, readers), ThreadPoolExecutor(2) as at_once:

            def trial(number: int) -> Outcome:
                side, cell = (thread + number) % 2, CELLS[number % len(CELLS)]
                grant = give(ops[side], quant["account"], *cell)
                both = [list(at_once.map(lambda reader: read(reader, *cell), readers)) for _ in range(2)]
                revoked = patiently(lambda: revoke(ops[1 - side], grant))
                after = at_once.map(lambda reader: read(reader, *cell), readers)
                told = ("not revoked", 200, [revoked.status_code])
                # the first of both reads asks, the second is remembered
                return Outcome.of(("refused", 200, both[0] + both[1]), told, ("stale", 403, after))

            yield trial

    return setting


def keys(sides: Sides) -> Setting:
    """Each trial makes a key, uses it on both sides, revokes it, uses it on both."""

    @contextmanager
    def setting(thread: int) -> Iterator[Trial]:
        with people(sides, "") as (_, admin, _nobody), ThreadPoolExecutor(2) as at_once:

            def trial(number: int) -> Outcome:
                quant = sides.quant()
                with sides.client(0, quant["key"]) as here, sides.client(1, quant["key"]) as there:
                    both = [list(at_once.map(me, (here, there))) for _ in range(2)]
                    key = f"/v1/api-keys/{quant['id']}"
                    revoked = patiently(lambda: admin[(thread + number) % 2].delete(key))
                    after = at_once.map(me, (here, there))
                    told = ("not revoked", 204, [revoked.status_code])
                    return Outcome.of(("refused", 200, both[0] + both[1]), told, ("stale", 401, after))

            yield trial

    return setting


def me(client: httpx.Client) -> int:
    return client.get("/v1/me").status_code


@pytest.mark.parametrize("kind", [grants, keys])
def test_r2_no_read_after_a_revoke_succeeds_and_r2b_the_next_after_an_approval_does(
    sides: Sides, kind: Callable[[Sides], Setting]
) -> None:
    found = verdicts(TRIALS, kind(sides))
    figure(f"{found.count} revoke-then-read trials of {kind.__name__}", wrong=found.wrong, unanswered=found.unanswered)
    assert found.wrong == []
    assert found.count == TRIALS


@pytest.mark.parametrize("delay", [WINDOW - 0.05, WINDOW + 0.2])
def test_r2_answers_are_delayed(sides: Sides, between: Between, delay: float) -> None:
    between.delay = delay
    try:
        found = verdicts(DELAYED, grants(sides))
    finally:
        between.delay = 0.0
    figure(f"{found.count} revoke-then-read trials, answers {delay:.2f} s late", wrong=found.wrong)
    assert (found.wrong, found.count) == ([], DELAYED)


CLOSE = "update entitlements.grants set closed_at = now(), close_reason = 'revoked' where id = %s"
RAISE = """with closed as (
        update entitlements.grants set closed_at = now(), close_reason = 'revoked' where id = %s
    ), raised as (update entitlements.coherence set number = number + 1 returning number)
    insert into entitlements.changes (number, name) select number, %s from raised"""


def test_r2_control_a_revoke_that_raises_no_count_is_not_noticed(sides: Sides) -> None:
    quant = sides.quant()
    with people(sides, quant["key"]) as (ops, _, readers):

        def unnoticed() -> bool:
            grant = give(ops[0], quant["account"])
            remembered(*readers)
            sides.sql(CLOSE, grant)
            time.sleep(WINDOW + MARGIN)
            return [read(reader) for reader in readers] == [200, 200]

        assert seen(unnoticed)


def test_r2_control_a_revoke_that_does_not_wait_is_read_past(sides: Sides) -> None:
    quant = sides.quant()
    with people(sides, quant["key"]) as (ops, _, readers):

        def read_past() -> bool:
            grant = give(ops[0], quant["account"])
            remembered(readers[1])
            sides.sql(RAISE, grant, f"{quant['account']}/BTC/1d")
            stale = read(readers[1]) == 200
            time.sleep(WINDOW + MARGIN)
            assert read_patiently(readers[1]) == 403
            return stale

        assert seen(read_past)


REVOKE = "update gateway.api_keys set revoked_at = now() where id = %s"
RAISE_KEY = """with revoked as (update gateway.api_keys set revoked_at = now() where id = %s),
    raised as (update gateway.coherence set number = number + 1 returning number)
    insert into gateway.changes (number, name) select number, %s from raised"""


def test_r2_control_a_key_revoked_without_a_count_goes_on_opening(sides: Sides) -> None:
    def unnoticed() -> bool:
        quant = sides.quant()
        with people(sides, quant["key"]) as (_, _admin, readers):
            known(*readers)
            sides.sql(REVOKE, quant["id"])
            time.sleep(WINDOW + MARGIN)
            return [me(reader) for reader in readers] == [200, 200]

    assert seen(unnoticed)


def test_r2_control_a_key_s_revoke_that_does_not_wait_is_read_past(sides: Sides) -> None:
    def read_past() -> bool:
        quant = sides.quant()
        with people(sides, quant["key"]) as (_, _admin, readers):
            known(readers[1])
            sides.sql(RAISE_KEY, quant["id"], quant["id"])
            stale = me(readers[1]) == 200
            time.sleep(WINDOW + MARGIN)
            assert patiently(lambda: readers[1].get("/v1/me")).status_code == 401
            return stale

    assert seen(read_past)


def known(*readers: httpx.Client) -> None:
    """Use a key until the gateways answer from memory."""
    time.sleep(2 * WINDOW)
    asked = [patiently(lambda reader=reader: reader.get("/v1/me")) for reader in readers * 2]  # type: ignore[misc]
    assert {answer.status_code for answer in asked} == {200}


def test_k5_without_an_overlap_the_old_key_opens_nothing_once_the_rotation_answered(sides: Sides) -> None:
    with people(sides, "") as (_, admin, _nobody):

        def rotated() -> tuple[int, ...]:
            quant = sides.quant()
            with sides.client(0, quant["key"]) as here, sides.client(1, quant["key"]) as there:
                known(here, there)
                made = admin[0].post(f"/v1/api-keys/{quant['id']}/rotate", json={"overlap_seconds": 0})
                old = me(here), me(there)
            with sides.client(1, made.json().get("key", "")) as new:
                return made.status_code, *old, me(new)

        assert answered(rotated) == (201, 401, 401, 200)


def test_r2_a_revoke_and_its_repeat_answer_only_when_the_window_is_over(sides: Sides) -> None:
    quant = sides.quant()
    with people(sides, quant["key"]) as (ops, admin, _):
        grant = give(ops[0], quant["account"])
        for side in range(2):
            revoked, seconds = timed(lambda side=side: revoke(ops[side], grant))  # type: ignore[misc]
            assert (revoked.status_code, seconds >= WINDOW + MARGIN) == (200, True)
            revoked, seconds = timed(lambda side=side: admin[side].delete(f"/v1/api-keys/{quant['id']}"))  # type: ignore[misc]
            assert (revoked.status_code, seconds >= WINDOW + MARGIN) == (204, True)
