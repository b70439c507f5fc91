"""Logs: on stderr, for people on a terminal, as JSON lines elsewhere."""

from __future__ import annotations

import logging
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
    hand_over(logging.getLogger())


class ToStructlog(logging.Handler):
    """Hands what libraries log by the standard library to the log that everything goes to."""

    def emit(self, record: logging.LogRecord) -> None:
        """Hand a record on, under the name of its logger."""
        log = structlog.get_logger().bind(logger=record.name)
        text = record.getMessage().strip()
        if record.levelno >= logging.ERROR or record.exc_info:
            log.error(text, exc_info=record.exc_info)
        elif record.levelno >= logging.WARNING:
            log.warning(text)


def hand_over(logger: logging.Logger) -> None:
    """Let all that a logger of the standard library is given go to structlog, from warnings on."""
    if not any(isinstance(handler, ToStructlog) for handler in logger.handlers):
        logger.addHandler(ToStructlog(logging.WARNING))
