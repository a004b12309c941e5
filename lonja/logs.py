"""Logs of long-running commands: events with fields, readable on a terminal, JSON elsewhere."""

from __future__ import annotations

import logging
import os
import sys

import structlog

LEVELS = ("debug", "info", "warning", "error")


def configure_logs() -> None:
    """Write events of LONJA_LOG_LEVEL (default: warning) and above to standard error."""
    level = os.environ.get("LONJA_LOG_LEVEL", "warning").lower()
    threshold = logging.getLevelNamesMapping().get(level.upper(), logging.WARNING)
    people = sys.stderr.isatty()
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            *([] if people else [structlog.processors.format_exc_info]),
            structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback)
            if people
            else structlog.processors.JSONRenderer(),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(threshold),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=True,
    )
    logging.basicConfig(level=threshold, stream=sys.stderr, format="%(levelname)s %(message)s")
