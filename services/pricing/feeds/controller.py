"""The scheduled jobs over HTTP: their runs, and a run by hand."""

from datetime import datetime
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query, Request, Response

from services.pricing.feeds.providers import Runs
from services.pricing.feeds.schemas import JobQuery, RunList, RunOut, RunRequest
from shared.pagination import cursors_of, cut, link_next
from shared.principal import Caller

router = APIRouter(prefix="/v1/jobs", tags=["Jobs"])


@router.get("", summary="List the runs of the jobs", operation_id="listJobRuns")
def list_runs(runs: Runs, query: Annotated[JobQuery, Query()], request: Request, response: Response) -> RunList:
    """Every run of `sync-prices` and `backfill-market-caps`, the latest slot first."""
    cursors, scope = cursors_of(request), f"jobs/{query.job}"
    before = None
    if query.cursor:
        slot, run_id = cursors.load(scope, query.cursor)
        before = datetime.fromisoformat(slot), UUID(run_id)
    rows, more = cut(runs.page(job=query.job, before=before, limit=query.limit + 1), query.limit)
    cursor = cursors.dump(scope, [rows[-1]["slot"].isoformat(), rows[-1]["id"]]) if more else None
    link_next(request, response, cursor)
    return RunList(data=[RunOut.model_validate(dict(row)) for row in rows], next_cursor=cursor)


@router.post("/{name}/run", status_code=202, summary="Run a job", operation_id="runJob")
def run_job(name: str, runs: Runs, caller: Caller, wanted: RunRequest | None = None) -> RunOut:
    """Make a run due; the scheduler takes it within a second, and `GET /v1/jobs` shows how it ends.

    `backfill-market-caps` is for a day, whose market cap is that of 20:00 UTC: a day that was missed comes from the
    source's own history. A run that was done already is done again; one that is under way is left alone.
    """
    return RunOut.model_validate(dict(runs.request(name, wanted.date if wanted else None, caller)))
