"""Reads and asks for runs of the jobs."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import RowMapping, func, select, tuple_, update
from sqlalchemy.orm import Session

from services.pricing.database import job_runs
from shared.jobs import at_rest, request_run

NOT_RUN_YET: dict[str, Any] = {"started_at": None, "finished_at": None, "counts": {}, "error": None}


class RunRepository:
    """The runs in one transaction."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def page(self, *, job: str | None, before: tuple[datetime, UUID] | None, limit: int) -> Sequence[RowMapping]:
        """At most `limit` runs, latest slot first, after the one at `before`."""
        position = tuple_(job_runs.c.slot, job_runs.c.id)
        query = select(job_runs).order_by(job_runs.c.slot.desc(), job_runs.c.id.desc())
        if job is not None:
            query = query.where(job_runs.c.job == job)
        if before is not None:
            query = query.where(position < before)
        return self._session.execute(query.limit(limit)).mappings().all()

    def make_due(self, job: str, slot: datetime, *, requested_by: str) -> RowMapping:
        """The run of this slot, due now; one that is under way is left alone."""
        run_id = request_run(self._session, job_runs, job, slot, requested_by=requested_by)
        again: dict[str, Any] = {"state": "due", "attempts": 0, "due_at": func.clock_timestamp(), **NOT_RUN_YET}
        self._session.execute(update(job_runs).where(job_runs.c.id == run_id, at_rest(job_runs)).values(again))
        return self._session.execute(select(job_runs).where(job_runs.c.id == run_id)).mappings().one()
