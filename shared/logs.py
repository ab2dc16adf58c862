"""Logs: one JSON line per event on standard error, with the request id where there is one."""

import logging
import re
import sys

import structlog
from structlog.typing import EventDict, Processor

KEY = re.compile(r"(tg_live_[0-9A-Za-z]{10}_)[0-9A-Za-z]{1,43}(_[0-9A-Za-z]{1,6})?")


def configure_logs(process: str, *, level: str = "info") -> None:
    """Send our own and the libraries' logs through one JSON renderer, each line naming the process."""
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
    ]

    def named(_logger: object, _method: str, event: EventDict) -> EventDict:
        return {"process": process, **event}

    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                named,
                _masked,
            ],
        )
    )
    logging.basicConfig(handlers=[handler], level=level.upper(), force=True)
    for noisy in ("httpx", "apscheduler", "uvicorn.access"):
        logging.getLogger(noisy).setLevel(logging.WARNING)
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )


def _masked(logger: object, method: str, event: EventDict) -> str:
    """The line as JSON without the secrets of API keys: somebody may send one as a path, or an error may quote one."""
    line = structlog.processors.JSONRenderer(default=str)(logger, method, event)
    return KEY.sub(r"\1***", str(line))
