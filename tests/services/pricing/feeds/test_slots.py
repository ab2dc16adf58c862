"""S1 to S4: each slot of the real jobs once, however many schedulers, however late, whatever was killed."""

import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pytest

from services.pricing.database import job_runs
from services.pricing.feeds.entities import Caps, History, MarketCap, Sample
from services.pricing.feeds.policy import BACKFILL, SYNC
from services.pricing.feeds.snapshots import Snapshots
from services.pricing.settings import PricingSettings
from shared.jobs import CATCH_UP, LEASE, Job, JobRuns, Outcome, request_run
from tests.conftest import ROOT
from tests.proof import PROOF, figure
from tests.services.pricing.conftest import DAY, HOUR, FixedClock
from tests.services.pricing.feeds.conftest import BTC, ETH, NOW, World
from tests.standins.coincap import StandinCoinCap, point

SLOT = datetime(2025, 6, 10, 20, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
SHORT = [n * MINUTE for n in (1, 2, 5, 7, 10, 15, 20, 30, 45, 59)]  # each over a slot
LONGER = [n * HOUR for n in (3, 9, 20, 26, 30, 40, 50, 60, 70, 80, 90, 110, 120, 130, 150, 170, 190, 220, 790, 960)]
DAYS, OUTAGES = (365, SHORT + LONGER) if PROOF else (90, SHORT[::5] + LONGER[::6] + LONGER[-1:])
DUE_AGAIN = "update pricing.job_runs set due_at = clock_timestamp() returning 1"


def scheduler(world: World) -> JobRuns:
    """A scheduler's runs, at the world's own time."""
    job = Job(BACKFILL, "0 20 * * *", lambda slot: world.snapshot(slot, BTC, ETH))
    return JobRuns(world.database, job_runs, (job,), world.clock)


def caps(world: World) -> list[tuple[str, str, str]]:
    found = (
        "select date::text, market_cap_usd::text, provenance from pricing.market_caps where dataset = 'BTC' order by 1"
    )
    return [(day, cap, provenance) for day, cap, provenance in world.sql(found)]


def test_s1_three_schedulers_at_20_00_make_one_run_and_one_upstream_call(world: World) -> None:
    world.upstream.give_market_cap("bitcoin", "1.5")
    world.upstream.give_market_cap("ethereum", "2.5")
    scheduler(world).ensure_due_runs()
    world.clock.at = SLOT
    start, made = threading.Barrier(3), list[int]()

    def tick() -> None:
        runs = scheduler(world)
        start.wait()
        runs.ensure_due_runs()
        made.append(runs.run_due())

    threads = [threading.Thread(target=tick) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=20)
    assert sorted(made) == [0, 0, 1]
    assert world.upstream.calls["/assets"] == 1
    assert caps(world) == [("2025-06-10", "1.5", "observed")]


def test_s1_without_the_claim_three_would_call_three_times(world: World) -> None:
    """The negative control: the job itself does not keep others away."""
    world.upstream.give_market_cap("bitcoin", "1.5")
    start = threading.Barrier(3)

    def tick() -> None:
        start.wait()
        world.snapshot(SLOT, BTC)

    world.upstream.fail_next("slow", times=3, path="/assets", pause=0.002)
    threads = [threading.Thread(target=tick) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=20)
    assert world.upstream.calls["/assets"] > 1


def missed_hours(world: World, guarded: bool) -> int:
    """How often CoinCap is asked by three schedulers that find three missed hours of prices."""
    world.sync(BTC, ETH, slot=NOW)
    world.clock.at, before = NOW + 3 * HOUR, world.calls()
    slots = [NOW + hours * HOUR for hours in (1, 2, 3)]
    job = Job(SYNC, "2 * * * *", lambda slot: world.sync(BTC, ETH, slot=slot))
    with world.database.transaction() as session:
        for slot in slots:
            request_run(session, job_runs, SYNC, slot)
    start, made = threading.Barrier(3), list[int]()
    world.upstream.fail_next("slow", times=3, pause=0.002)

    def tick(slot: datetime) -> None:
        runs = JobRuns(world.database, job_runs, (job,), world.clock)
        start.wait()
        if guarded:
            made.append(runs.run_due())
        else:
            job.run(slot)

    threads = [threading.Thread(target=tick, args=(slot,)) for slot in slots]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=20)
    assert sum(made) == (3 if guarded else 0)
    return world.calls() - before


def test_s1_three_schedulers_after_three_missed_hours_ask_once_for_all_of_them(world: World) -> None:
    assert missed_hours(world, guarded=True) == 1


def test_s1_three_runs_side_by_side_would_each_ask(world: World) -> None:
    """The negative control: each run remembers how far the series were when it began."""
    assert missed_hours(world, guarded=False) > 1


@pytest.mark.parametrize("late", [timedelta(seconds=5), timedelta(hours=3, minutes=59)])
def test_s2_a_start_later_on_the_same_day_takes_the_slot_once_and_says_when(world: World, late: timedelta) -> None:
    world.upstream.give_market_cap("bitcoin", "1.5")
    world.upstream.give_market_cap("ethereum", "2.5")
    scheduler(world).ensure_due_runs()
    world.clock.at = SLOT + late
    for _ in range(3):
        runs = scheduler(world)
        runs.ensure_due_runs()
        runs.run_due()
    assert caps(world) == [("2025-06-10", "1.5", "observed")]
    assert world.sql("select distinct observed_at from pricing.market_caps") == [(SLOT + late,)]
    assert world.sql("select slot, state, attempts from pricing.job_runs") == [(SLOT, "done", 1)]


def test_s2_three_days_late_each_missed_slot_is_run_once_oldest_first_and_no_value_invented(world: World) -> None:
    world.upstream.give_market_cap("bitcoin", "9.5")
    world.upstream.give_market_cap("ethereum", "2.5")
    remembered = [(SLOT, "1.5"), (SLOT + DAY + HOUR, "2.5")]  # of the third day the vendor knows nothing
    world.upstream.give_market_cap_history("bitcoin", remembered)
    scheduler(world).ensure_due_runs()
    world.clock.at = SLOT + 3 * DAY + timedelta(seconds=5)
    runs, began = scheduler(world), time.monotonic()
    runs.ensure_due_runs()
    assert runs.run_due() == 4
    assert time.monotonic() - began < 60
    assert caps(world) == [
        ("2025-06-10", "1.5", "vendor-history"),
        ("2025-06-11", "2.5", "vendor-history"),
        ("2025-06-13", "9.5", "observed"),
    ]
    ran = world.sql("select slot, state, attempts from pricing.job_runs order by started_at")
    assert [slot for slot, _, _ in ran] == [SLOT + n * DAY for n in range(4)]
    assert [(state, attempts) for _, state, attempts in ran] == [("done", 1)] * 4
    assert world.sql("select sum((counts ->> 'unknown')::int) from pricing.job_runs") == [(4,)]  # ETH, and BTC once


@contextmanager
def process(settings: PricingSettings, upstream: StandinCoinCap) -> Iterator[subprocess.Popen[bytes]]:
    """The scheduler as it is deployed, asking the stand-in."""
    env = {
        **os.environ,
        "PYTHONPATH": str(ROOT),
        "TICKGATE_PRICING_DATABASE_URL": settings.pricing_database_url,
        "TICKGATE_IDENTITY_PRIVATE_KEY": settings.identity_private_key,
        "TICKGATE_COINCAP_URL": upstream.url,
        "TICKGATE_COINCAP_API_KEY": upstream.key,
    }
    child = subprocess.Popen([sys.executable, "-m", "services.pricing", "scheduler"], env=env)
    try:
        yield child
    finally:
        child.kill()
        child.wait(timeout=10)


def until(condition: Callable[[], bool], *, seconds: float = 30) -> bool:
    """Whether the condition comes true in time."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if condition():
            return True
        time.sleep(0.02)
    return condition()


def test_s3_a_run_killed_with_9_is_taken_up_where_it_was(world: World, settings: PricingSettings) -> None:
    hour = datetime.now(UTC).replace(minute=0, second=0, microsecond=0)
    with StandinCoinCap() as upstream:
        hours = [point(hour - n * HOUR, f"{9000 - n}.5") for n in range(1500)][::-1]
        upstream.give_history("bitcoin", "h1", hours)
        upstream.give_history("bitcoin", "d1", [])
        upstream.give_history("ethereum", "d1", [])
        with process(settings, upstream) as first:
            assert until(lambda: sum(upstream.calls.values()) >= 20)
            upstream.fail_next("slow", pause=60)
            assert until(lambda: not upstream._faults)
            first.send_signal(signal.SIGKILL)
            first.wait(timeout=10)
        assert world.sql("select state, attempts from pricing.job_runs where job = 'sync-prices'") == [("running", 1)]
        asked = [query["start"] for _, query in upstream.queries if "interval" in query]
        if PROOF:
            time.sleep(LEASE.total_seconds())
        else:
            world.sql(DUE_AGAIN)
        upstream.queries.clear()
        again_at = time.monotonic()
        with process(settings, upstream):
            done = "select 1 from pricing.job_runs where job = 'sync-prices' and state = 'done' and attempts = 2"
            assert until(lambda: world.sql(done) == [(1,)], seconds=120)
        seconds = round(time.monotonic() - again_at, 1)
        again = [query["start"] for _, query in upstream.queries if "interval" in query]
    assert len(set(asked) & set(again)) <= 1  # only the window that was under way
    stored = [(text, price) for text, price, _ in world.stored()]
    assert stored == [(str(row["date"]).replace(".000Z", "Z"), row["priceUsd"]) for row in hours]
    figure("S3", killed_after_calls=len(asked), asked_twice=set(asked) & set(again), rows=stored, done_seconds=seconds)


def test_a_dataset_that_is_added_gets_its_history_without_a_restart(world: World) -> None:
    offered = [ETH]
    job = Job("sync-prices", "2 * * * *", lambda slot: world.sync(*offered, slot=slot), from_start=True)
    runs = JobRuns(world.database, job_runs, (job,), world.clock)
    runs.ensure_due_runs()
    runs.run_due()
    offered.append(BTC)
    world.clock.at = NOW + HOUR
    runs.ensure_due_runs()
    assert runs.run_due() == 1
    assert len(world.stored()) == 1001


class Remembering:
    """A source whose values tell their moment: live ones in seconds, remembered ones tenfold, derived ones hundredfold.

    Of every third day it has no market capitalisation of its own, and of every third of those no supply either.
    """

    name = "coincap"
    at_once = 100

    def __init__(self, clock: FixedClock) -> None:
        self._clock = clock

    def span(self, _frequency: str) -> timedelta:
        """A month."""
        return 30 * DAY

    def depth(self, _frequency: str) -> timedelta:
        """Nothing from before the first run."""
        return timedelta()

    def history(self, _slug: str, _frequency: str, *, start: datetime, end: datetime) -> History:
        """A price for every hour, and mostly a supply."""
        supply = Decimal(100) if start.toordinal() % 9 else None
        hours = [start + n * HOUR for n in range((end - start) // HOUR)]
        return History([Sample(at, Decimal(int(at.timestamp())), supply) for at in hours], [])

    def market_caps(self, slugs: Sequence[str]) -> Caps:
        """As of now."""
        return Caps([MarketCap(slug, Decimal(int(self._clock.at.timestamp())), self._clock.at) for slug in slugs], [])

    def market_cap_history(self, slug: str, *, start: datetime, end: datetime) -> Caps:
        """Five minutes after the slot, of most days."""
        at = start + timedelta(hours=20, minutes=5)
        known = start.toordinal() % 3 != 0 and at < end
        return Caps([MarketCap(slug, Decimal(10 * int(at.timestamp())), at)] if known else [], [])


def ticks(chance: random.Random) -> list[datetime]:
    """A second after each slot of so many days, unless that is in an outage, and when an outage ends."""
    outages = chance.sample(OUTAGES, len(OUTAGES))
    gap = (DAYS * DAY - sum(outages, timedelta())) / (len(outages) + 1)
    at, away = SLOT + HOUR, list[tuple[datetime, datetime]]()
    for length in outages:
        at += gap * chance.uniform(0.5, 1.0)
        begin = at.replace(hour=19, minute=59, second=30) if length in SHORT else at
        at = begin + length
        away.append((begin, at))
    daily = [SLOT + n * DAY + timedelta(seconds=1) for n in range(DAYS)]
    up = [at for at in daily if not any(begin <= at < end for begin, end in away)]
    return sorted([*up, *(end for _, end in away)])


def told(slot: datetime, now: datetime) -> tuple[date, str, Decimal] | None:
    """What a slot's run at an instant has to leave behind: today's value on no other day."""
    if slot.date() == now.date():
        return slot.date(), "observed", Decimal(int(now.timestamp()))
    if slot.toordinal() % 3:
        return slot.date(), "vendor-history", Decimal(10 * int((slot + 5 * MINUTE).timestamp()))
    return (slot.date(), "derived", Decimal(100 * int(slot.timestamp()))) if slot.toordinal() % 9 else None


def test_s4_a_year_with_thirty_outages_takes_each_slot_once_and_invents_nothing(world: World) -> None:
    world.clock.at, began = SLOT - HOUR, time.monotonic()
    ran, done, expected = list[datetime](), set[datetime](), list[tuple[date, str, Decimal]]()
    source = Remembering(world.clock)

    def run(slot: datetime) -> Outcome:
        ran.append(slot)
        return Snapshots(world.database, source, clock=world.clock).backfill_market_caps([BTC], slot)

    moments = ticks(random.Random(20))  # noqa: S311 - the same outages every time
    late = 0
    for now in [world.clock.at, *moments]:
        world.clock.at = now
        runs = JobRuns(world.database, job_runs, (Job(BACKFILL, "0 20 * * *", run),), world.clock)
        runs.ensure_due_runs()
        due = [SLOT + n * DAY for n in range((now - SLOT) // DAY + 1)][-CATCH_UP:]
        due = [slot for slot in due if slot not in done]
        late += any(slot.date() != now.date() for slot in due)
        if due:
            runs.run_due()
        assert ran[len(done) :] == due
        done.update(due)
        expected += [row for slot in due if (row := told(slot, now)) is not None]
    found = world.sql("select date, provenance, market_cap_usd, observed_at from pricing.market_caps order by date")
    assert [(day, provenance, cap) for day, provenance, cap, _ in found] == expected
    assert all(at.date() == day for day, _, _, at in found)
    assert {provenance for _, provenance, _, _ in found} == {"observed", "vendor-history", "derived"}
    states = world.sql("select slot, state, attempts from pricing.job_runs order by slot")
    assert states == [(slot, "done", 1) for slot in sorted(done)]
    given_up = (moments[-1] - SLOT) // DAY + 1 - len(done)
    assert given_up > 0  # those of the longest outages but the 30 newest
    assert late >= len([length for length in OUTAGES if length > DAY])
    figure(
        "S4",
        days=DAYS,
        outages=OUTAGES,
        slots_run_once=done,
        days_without_a_value=len(done) - len(found),
        older_than_thirty=given_up,
        seconds=round(time.monotonic() - began, 1),
    )
