"""A service as data: what it is called, what it answers, what it does on an event and when it works by itself."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from fastapi import APIRouter
from sqlalchemy import MetaData, Table

from shared.audit import Trail
from shared.coherence.owner import Feed
from shared.jobs import Job, Progress
from shared.outbox import Handler
from shared.settings import ServiceSettings


@dataclass(frozen=True)
class Module:
    """The table of contents of one service.

    The API process, the worker, the relay, the scheduler, the embedded home and the tests are short functions over it.
    `revision` is the newest migration of its schema; `neighbours` names the services it asks by URL; `tasks` maps an
    event's type to what happens then; `feed` counts its changes for those who remember its answers, and `remembered`
    names the neighbours whose answers are remembered here; `jobs` builds the scheduled jobs out of the service's
    settings and a function that is told of their progress; `trail` is the record of who did what, `idempotency`
    keeps the first answers to POSTs.
    """

    name: str
    settings: type[ServiceSettings]
    metadata: MetaData
    revision: str
    controllers: tuple[APIRouter, ...]
    neighbours: tuple[str, ...] = ()
    feed: Feed | None = None
    remembered: tuple[str, ...] = ()
    trail: Trail | None = None
    idempotency: Table | None = None
    outbox: Table | None = None
    tasks: Mapping[str, Handler] = field(default_factory=dict)
    job_runs: Table | None = None
    jobs: Callable[[ServiceSettings, Progress], tuple[Job, ...]] | None = None
