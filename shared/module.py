"""A service as data: what it is called, what it answers, what it does on an event and when it works by itself."""

from collections.abc import Callable, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field

from fastapi import APIRouter
from sqlalchemy import MetaData, Table

from shared.audit import Trail
from shared.coherence.owner import Feed
from shared.database import Database
from shared.jobs import Chore, Job, Progress
from shared.metrics import Gauges
from shared.outbox import Errand, Task
from shared.settings import ServiceSettings
from shared.streams import News
from shared.upstream import Neighbour

Kept = Callable[[Database, Mapping[str, Neighbour]], AbstractAsyncContextManager[object]]


@dataclass(frozen=True)
class Module:
    """The table of contents of one service.

    The API process, the worker, the relay, the scheduler, the embedded home and the tests are short functions over it.
    `revision` is the newest migration of its schema; `neighbours` names the services it asks by URL; `tasks` maps an
    event's type to what happens then, and `errands` builds those with an effect elsewhere, out of the service's
    settings; `messages` describes what these post to others' URLs; `gauges` read its tables for Prometheus; `news`
    tells its streams what has moved; `feed` counts its changes for those who remember its answers, and `remembered`
    names the neighbours whose answers are remembered here; `trail` is the record of who did what; `idempotency` keeps
    the first answers to POSTs; `kept` opens what lives as long as the API process, by the name that it has in
    `app.state.kept`; `jobs` builds the scheduled jobs out of the settings and a function that is told of their
    progress; `chores` are what the scheduler does at every tick.
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
    kept: Mapping[str, Kept] = field(default_factory=dict)
    outbox: Table | None = None
    tasks: Mapping[str, Task] = field(default_factory=dict)
    gauges: tuple[Gauges, ...] = ()
    messages: APIRouter | None = None
    errands: Callable[[ServiceSettings], Mapping[str, Errand]] | None = None
    news: News | None = None
    job_runs: Table | None = None
    jobs: Callable[[ServiceSettings, Progress], tuple[Job, ...]] | None = None
    chores: tuple[Chore, ...] = ()

    def all_tasks(self, settings: ServiceSettings) -> dict[str, Task]:
        """What happens on each type of event, errands among it."""
        return {**self.tasks, **(self.errands(settings) if self.errands else {})}
