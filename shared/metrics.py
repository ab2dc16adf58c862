"""Figures for Prometheus: how requests fare in this process, and how things stand in its tables."""

import time
from collections.abc import Callable, Iterable, Mapping

import structlog
from prometheus_client import REGISTRY, CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.metrics_core import GaugeMetricFamily
from prometheus_client.registry import Collector
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from shared.database import Database

Gauges = Callable[[Session], Mapping[str, float]]
MEDIA_TYPE = "text/plain; version=0.0.4; charset=utf-8"
UNMATCHED = "unmatched"
LABELS = ("service", "method", "route")
REQUESTS = Counter("tickgate_requests", "Requests that were answered.", (*LABELS, "status"))
SECONDS = Histogram(
    "tickgate_request_seconds",
    "Seconds until an answer began.",
    LABELS,
    buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0),
)
FAULTS = Counter("tickgate_faults", "What went wrong inside and somebody should look at.", ("service", "what"))
logger = structlog.get_logger(__name__)


class Measured:
    """ASGI middleware: rate, errors and duration by route template; neither an account nor a key is in a label."""

    def __init__(self, app: ASGIApp, *, name: str) -> None:
        self.app = app
        self._name = name

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request, and note it when its answer begins; what no route takes is all one."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        started = time.perf_counter()

        async def noting(message: Message) -> None:
            if message["type"] == "http.response.start":
                labels = (self._name, scope["method"], getattr(scope.get("route"), "path", UNMATCHED))
                REQUESTS.labels(*labels, message["status"]).inc()
                SECONDS.labels(*labels).observe(time.perf_counter() - started)
            await send(message)

        await self.app(scope, receive, noting)


class TableGauges(Collector):
    """What the tables say when somebody looks; nothing while the database cannot be asked."""

    def __init__(self, database: Database, gauges: Iterable[Gauges], *, service: str) -> None:
        self._database = database
        self._gauges = tuple(gauges)
        self._service = service

    def collect(self) -> Iterable[GaugeMetricFamily]:
        """One gauge for each figure."""
        try:
            with self._database.transaction() as session:
                found = {name: value for gauges in self._gauges for name, value in gauges(session).items()}
        except SQLAlchemyError as error:
            logger.warning("the tables cannot be measured", error=str(error))
            return
        for name, value in found.items():
            family = GaugeMetricFamily(f"tickgate_{name}", name.replace("_", " "), labels=("service",))
            family.add_metric((self._service,), value)
            yield family


def exposition(*collectors: Collector) -> Callable[[], bytes]:
    """What this process shows to Prometheus: its own figures, and those of its tables."""

    def expose() -> bytes:
        registry = CollectorRegistry()
        for collector in collectors:
            registry.register(collector)
        return generate_latest(REGISTRY) + generate_latest(registry)

    return expose
