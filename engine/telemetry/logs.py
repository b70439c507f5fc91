"""Logs: on stderr, for people on a terminal, as JSON lines elsewhere."""

from __future__ import annotations

import sys

import structlog
from structlog.typing import Processor


def set_up_logs() -> None:
    """Send what this process logs to its standard error from now on.

    Every event has its level and its time (RFC 3339, UTC). On a terminal it is a coloured line,
    elsewhere one line of JSON: what a program collects, a program reads.
    """
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    last: list[Processor] = (
        [structlog.dev.ConsoleRenderer()]
        if sys.stderr.isatty()
        else [structlog.processors.dict_tracebacks, structlog.processors.JSONRenderer()]
    )
    structlog.configure(
        processors=[*shared, *last],
        logger_factory=structlog.WriteLoggerFactory(file=sys.stderr),
        cache_logger_on_first_use=False,
    )
