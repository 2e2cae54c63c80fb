"""Logs: JSON lines in the state folder for programs, short lines on the terminal for people."""

import logging
import logging.handlers
import sys
from collections.abc import MutableMapping
from pathlib import Path
from typing import Any

import structlog

FILE_MOST_BYTES = 10_000_000
FILES_KEPT = 5


def configure_logging(folder: Path | None, worker: str, *, terminal: bool = True) -> None:
    """Send this process's log to `<folder>/<worker>.jsonl`, and to standard error when `terminal`.

    Values are escaped: a file name with control or direction characters cannot forge a line.
    """
    handlers: list[logging.Handler] = []
    if folder is not None:
        folder.mkdir(parents=True, exist_ok=True)
        rotating = logging.handlers.RotatingFileHandler(
            folder / f"{worker}.jsonl", maxBytes=FILE_MOST_BYTES, backupCount=FILES_KEPT, encoding="utf-8"
        )
        rotating.setFormatter(_formatter(structlog.processors.JSONRenderer(default=str)))
        handlers.append(rotating)
    if terminal:
        stream = logging.StreamHandler(sys.stderr)
        stream.setFormatter(_formatter(structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty())))
        handlers.append(stream)
    logging.basicConfig(level=logging.INFO, handlers=handlers, force=True)
    structlog.configure(
        processors=[
            structlog.stdlib.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            escape_values,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        wrapper_class=structlog.stdlib.BoundLogger,
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=True,
    )
    structlog.get_logger().info("process_started", worker=worker)


def escape_values(logger: object, method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Write text values so that they stay on their line and in their direction."""
    for name, value in event.items():
        if isinstance(value, str) and not value.isprintable() and name != "exception":
            event[name] = value.encode("unicode_escape").decode("ascii")
    return event


def _formatter(renderer: Any) -> logging.Formatter:  # noqa: ANN401 (structlog's renderers have no common type)
    return structlog.stdlib.ProcessorFormatter(
        processors=[
            structlog.stdlib.ProcessorFormatter.remove_processors_meta,
            structlog.processors.format_exc_info,
            renderer,
        ]
    )
