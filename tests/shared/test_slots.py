"""Which slots a job has, which of them were missed, and that each is caught up once."""

import random
from datetime import UTC, datetime, timedelta

import pytest

from shared.jobs import CATCH_UP, JobRuns
from tests.shared.ground import Ground, job_runs
from tests.shared.work import DAILY, DUE_AGAIN, MOMENT, Hand, Work, days, job


@pytest.mark.parametrize(
    ("cron", "after", "until", "slots"),
    [
        (DAILY, "2026-03-28T20:00:00", "2026-03-29T20:00:00", ["2026-03-29T20:00:00"]),
        (DAILY, "2026-03-28T20:00:00", "2026-03-29T19:59:59", []),
        (DAILY, "2026-03-28T19:59:59", "2026-03-28T20:00:00", ["2026-03-28T20:00:00"]),
        (
            DAILY,
            "2026-02-27T00:00:00",
            "2026-03-01T23:00:00",
            ["2026-02-27T20:00:00", "2026-02-28T20:00:00", "2026-03-01T20:00:00"],
        ),
        (DAILY, "2024-02-28T21:00:00", "2024-03-01T00:00:00", ["2024-02-29T20:00:00"]),
        ("30 1 * * *", "2026-03-28T12:00:00", "2026-03-30T12:00:00", ["2026-03-29T01:30:00", "2026-03-30T01:30:00"]),
        ("30 1 * * *", "2026-10-24T12:00:00", "2026-10-26T12:00:00", ["2026-10-25T01:30:00", "2026-10-26T01:30:00"]),
        ("0 0 1 * *", "2025-12-01T00:00:00", "2026-02-01T00:00:00", ["2026-01-01T00:00:00", "2026-02-01T00:00:00"]),
        (
            "*/20 * * * *",
            "2026-01-01T00:00:00",
            "2026-01-01T01:00:00",
            ["2026-01-01T00:20:00", "2026-01-01T00:40:00", "2026-01-01T01:00:00"],
        ),
        (DAILY, "2026-03-29T20:00:00", "2026-03-29T20:00:00", []),
    ],
)
def test_slots_are_in_utc_after_the_first_instant_and_up_to_the_last(
    cron: str, after: str, until: str, slots: list[str]
) -> None:
    def at(text: str) -> datetime:
        return datetime.fromisoformat(text).replace(tzinfo=UTC)

    assert list(job(cron=cron).slots(at(after), at(until))) == [at(slot) for slot in slots]


def test_a_job_that_runs_from_the_start_is_due_for_its_latest_slot(ground: Ground) -> None:
    work = Work()
    runs = JobRuns(ground.database, job_runs, (job(work),), Hand(MOMENT + timedelta(hours=23)))
    runs.ensure_due_runs()
    runs.ensure_due_runs()

    assert runs.run_due() == 1
    assert work.slots == [MOMENT]


def test_any_other_job_is_first_due_at_its_next_slot_also_after_a_restart(ground: Ground) -> None:
    work, hand = Work(), Hand(datetime.now(UTC).replace(microsecond=0))
    every_minute = job(work, cron="* * * * *", from_start=False)
    runs = JobRuns(ground.database, job_runs, (every_minute,), hand)
    runs.ensure_due_runs()
    assert runs.run_due() == 0

    ((slot,),) = ground.sql("select slot from ground.job_runs")
    assert isinstance(slot, datetime)
    assert hand.at < slot <= hand.at + timedelta(minutes=1)
    hand.at = slot
    restarted = JobRuns(ground.database, job_runs, (every_minute,), hand)
    restarted.ensure_due_runs()
    ground.sql(DUE_AGAIN)
    assert restarted.run_due() == 1
    assert work.slots == [slot]


def test_missed_slots_are_run_once_each_oldest_first(ground: Ground) -> None:
    work, hand = Work(), Hand(MOMENT)
    runs = JobRuns(ground.database, job_runs, (job(work),), hand)
    runs.ensure_due_runs()
    hand.at = MOMENT + timedelta(days=3, seconds=5)
    runs.ensure_due_runs()

    assert runs.run_due() == 4
    assert work.slots == days(0, 3)
    runs.ensure_due_runs()
    assert runs.run_due() == 0


def test_at_most_thirty_slots_are_caught_up_the_newest_of_them(ground: Ground) -> None:
    work, hand = Work(), Hand(MOMENT)
    runs = JobRuns(ground.database, job_runs, (job(work),), hand)
    runs.ensure_due_runs()
    runs.run_due()
    hand.at = MOMENT + timedelta(days=45)
    runs.ensure_due_runs()

    assert runs.run_due() == CATCH_UP
    assert work.slots[1:] == days(16, 45)
    runs.ensure_due_runs()
    assert runs.run_due() == 0


def test_of_an_hourly_job_too_no_more_than_thirty_however_often_is_looked(ground: Ground) -> None:
    work, hand = Work(), Hand(MOMENT)
    runs = JobRuns(ground.database, job_runs, (job(work, cron="2 * * * *"),), hand)
    runs.ensure_due_runs()
    hand.at = MOMENT + timedelta(days=20)
    for _ in range(3):
        runs.ensure_due_runs()

    assert ground.sql("select count(*) from ground.job_runs") == [(1 + CATCH_UP,)]
    runs.run_due()
    assert work.slots == sorted(work.slots)


def test_a_year_with_thirty_outages_does_each_slot_once(ground: Ground) -> None:
    work, hand = Work(), Hand(MOMENT)
    chance = random.Random(20)  # noqa: S311 - the same outages every time
    outages = sorted(chance.sample(range(1, 360), 30))
    day = 0
    while day < 365:  # one tick a day, by a process of its own after each outage of up to five days
        runs = JobRuns(ground.database, job_runs, (job(work),), hand)
        while day < 365:
            hand.at = MOMENT + timedelta(days=day, seconds=chance.choice((0, 5, 3 * 3600, 14_399)))
            runs.ensure_due_runs()
            runs.run_due()
            day += 1
            if outages and day >= outages[0]:
                day += chance.randint(1, 5)
                del outages[0]
                break

    assert outages == []
    assert work.slots == days(0, (hand.at - MOMENT).days)
    assert len(work.slots) >= 360


def test_slots_that_were_missed_around_a_run_by_hand_are_caught_up_too(ground: Ground) -> None:
    work, hand = Work(), Hand(MOMENT)
    runs = JobRuns(ground.database, job_runs, (job(work),), hand)
    runs.ensure_due_runs()
    runs.run_now("sync", MOMENT - timedelta(days=400))
    runs.run_now("sync", MOMENT + timedelta(days=3))
    hand.at = MOMENT + timedelta(days=3, hours=1)
    runs.ensure_due_runs()

    planned = "select slot from ground.job_runs where requested_by is null order by slot"
    assert [slot for (slot,) in ground.sql(planned)] == days(0, 2)
