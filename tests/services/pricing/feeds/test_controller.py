"""Jobs over HTTP: the list of runs, a run by hand, and what is refused."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import func, update

from services.pricing.database import job_runs
from services.pricing.feeds.jobs import jobs
from services.pricing.settings import PricingSettings
from shared.jobs import JobRuns, request_run
from tests.services.pricing.conftest import T0, Service
from tests.standins.coincap import StandinCoinCap

RUN = "/v1/jobs/backfill-market-caps/run"


def test_a_run_by_hand_is_due_and_then_done(service: Service, settings: PricingSettings) -> None:
    answer = service.post(RUN, {"date": "2026-01-31"})
    run = answer.json()
    assert answer.status_code == 202
    assert run == {
        "id": run["id"],
        "job": "backfill-market-caps",
        "slot": "2026-01-31T20:00:00Z",
        "state": "due",
        "attempts": 0,
        "started_at": None,
        "finished_at": None,
        "counts": {},
        "error": None,
    }
    assert JobRuns(service.database, job_runs, jobs(settings)).run_due() == 1
    listed = service.get("/v1/jobs", role="ops").json()["data"]
    assert [(item["id"], item["state"], item["attempts"]) for item in listed] == [(run["id"], "done", 1)]
    assert listed[0]["counts"] == {"written": 3, "held": 0, "missing": 0, "unknown": 0, "earlier": 0, "rejected": 0}
    again = service.post(RUN, {"date": "2026-01-31"}).json()
    assert (again["id"], again["state"], again["attempts"]) == (run["id"], "due", 0)


def test_ops_reads_what_a_run_left_undone_and_why(
    service: Service, settings: PricingSettings, upstream: StandinCoinCap
) -> None:
    upstream.fail_next("unauthorized")
    told = settings.model_copy(update={"coincap_url": upstream.url, "coincap_api_key": upstream.key})
    service.post(RUN, {"date": "2025-06-09"})
    assert JobRuns(service.database, job_runs, jobs(told)).run_due() == 1
    (run,) = service.get("/v1/jobs", role="ops").json()["data"]
    assert (run["state"], run["counts"]["missing"]) == ("failed", 2)
    assert "The price source refused the API key; check TICKGATE_COINCAP_API_KEY" in run["error"]
    assert upstream.key not in str(run)


def test_a_run_under_way_is_left_alone(service: Service) -> None:
    run = service.post(RUN).json()
    with service.database.transaction() as session:
        lease = func.clock_timestamp() + timedelta(minutes=15)
        session.execute(update(job_runs).values(state="running", attempts=1, due_at=lease))
    again = service.post(RUN).json()
    assert (again["id"], again["state"], again["attempts"]) == (run["id"], "running", 1)


def test_a_run_whose_process_died_can_be_asked_for_again(service: Service) -> None:
    run = service.post(RUN).json()
    with service.database.transaction() as session:
        session.execute(update(job_runs).values(state="running", attempts=30, due_at=func.clock_timestamp()))
    again = service.post(RUN).json()
    assert (again["id"], again["state"], again["attempts"]) == (run["id"], "due", 0)


@pytest.mark.parametrize("body", [None, {}])
def test_without_a_date_the_run_is_for_the_newest_slot_or_now(service: Service, body: object) -> None:
    now = datetime.now(UTC)
    slot = datetime.fromisoformat(service.post(RUN, body).json()["slot"])
    assert timedelta(0) <= now - slot < timedelta(days=1)
    assert (slot.hour, slot.minute, slot.second) == (20, 0, 0)
    slot = datetime.fromisoformat(service.post("/v1/jobs/sync-prices/run", body).json()["slot"])
    assert abs(slot - now) < timedelta(seconds=5)
    assert slot.microsecond == 0


@pytest.mark.parametrize(
    ("path", "body", "status", "code"),
    [
        ("/v1/jobs/make-money/run", None, 404, "job-not-found"),
        (RUN, {"date": "2999-01-01"}, 422, "invalid-input"),
        ("/v1/jobs/sync-prices/run", {"date": "2999-01-01"}, 422, "invalid-input"),
        ("/v1/jobs/sync-prices/run", {"date": "2026-01-31"}, 422, "invalid-input"),
        ("/v1/jobs/backfill-market-caps/run", {"date": "2009-01-02"}, 422, "invalid-input"),
        ("/v1/jobs/backfill-market-caps/run", {"date": "0001-01-01"}, 422, "invalid-input"),
        (RUN, {"date": "tomorrow"}, 422, "invalid-input"),
        (RUN, {"day": "2026-01-31"}, 422, "invalid-input"),
    ],
)
def test_what_cannot_be_run(service: Service, path: str, body: object, status: int, code: str) -> None:
    answer = service.post(path, body)
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert service.get("/v1/jobs", role="ops").json()["data"] == []


@pytest.mark.parametrize("limit", [1, 2, 500])
def test_the_list_is_paged_latest_first_and_by_job(service: Service, limit: int) -> None:
    with service.database.transaction() as session:
        for number in (3, 1, 4, 2):
            request_run(session, job_runs, "sync-prices", T0 + timedelta(days=number))
            request_run(session, job_runs, "backfill-market-caps", T0 + timedelta(days=number))

    def slots(**query: Any) -> list[int]:
        answer, found = service.get("/v1/jobs", role="ops", limit=limit, **query), []
        while True:
            found += [int(run["slot"][8:10]) for run in answer.json()["data"]]
            if "next" not in answer.links:
                return found
            answer = service.get(answer.links["next"]["url"], role="ops")

    assert slots() == [14, 14, 13, 13, 12, 12, 11, 11]
    assert slots(job="sync-prices") == [14, 13, 12, 11]


def test_a_cursor_of_one_job_is_not_anothers(service: Service) -> None:
    with service.database.transaction() as session:
        for number in range(3):
            request_run(session, job_runs, "sync-prices", T0 + timedelta(days=number))
    cursor = service.get("/v1/jobs", limit=1).json()["next_cursor"]
    assert service.get("/v1/jobs", limit=1, cursor=cursor, job="sync-prices").json()["code"] == "invalid-cursor"
    assert service.get("/v1/jobs", job="make-money").json()["code"] == "invalid-input"
