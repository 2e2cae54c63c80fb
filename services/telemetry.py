"""Logs: JSON lines in the state folder for programs, short lines on the terminal for people.

Values are shown so that they cannot forge a line or turn its direction, and what looks like a secret is left out.
"""

import logging
import logging.handlers
import re
import sys
from collections.abc import Mapping, MutableMapping, Sequence
from pathlib import Path
from typing import Any

import structlog

FILE_MOST_BYTES = 10_000_000
FILES_KEPT = 5
HIDDEN = "[hidden]"
SECRET_NAME = re.compile(r"secret|passw|token|authorization|cookie|credential|signature|api_?key", re.IGNORECASE)
ADDRESS_PASSWORD = re.compile(r"(?<=://)[^\s/?#@]*@")
ADDRESS_TOKEN = re.compile(r"([?&;][^\s=&]*(?:secret|passw|token|sig|key)[^\s=&]*=)[^\s&]+", re.IGNORECASE)
PLACES = frozenset({"secret_file"})
"""Names that look like a secret and only say where it lies."""
LEVELS = {"warning": "warn ", "error": "ERROR", "critical": "FATAL"}


def configure_logging(folder: Path | None, worker: str, *, terminal: bool = True, json: bool = False) -> None:
    """Send this process's log to `<folder>/<worker>.jsonl`, and to standard error when `terminal`.

    Parameters
    ----------
    folder
        Where log files lie, made where missing; None writes none. A file is turned over at 10 MB, five are kept.
    worker
        Name of the process, such as `predictor-1`: of its file, and in every line.
    terminal
        Write to standard error too.
    json
        On standard error, too, JSON lines instead of short ones: for containers, whose output is collected.
    """
    handlers: list[logging.Handler] = []
    if folder is not None:
        folder.mkdir(parents=True, exist_ok=True)
        file = logging.handlers.RotatingFileHandler(
            folder / f"{worker}.jsonl", maxBytes=FILE_MOST_BYTES, backupCount=FILES_KEPT, encoding="utf-8", delay=True
        )
        file.setFormatter(_formatter(structlog.processors.JSONRenderer(default=str), worker))
        handlers.append(file)
    if terminal:
        stream = logging.StreamHandler(sys.stderr)
        renderer = structlog.processors.JSONRenderer(default=str) if json else short_line
        stream.setFormatter(_formatter(renderer, worker))
        handlers.append(stream)
    logging.basicConfig(level=logging.INFO, handlers=handlers or [logging.NullHandler()], force=True)
    structlog.configure(
        processors=[*_shared(), structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        wrapper_class=structlog.stdlib.BoundLogger,
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=False,
    )
    structlog.get_logger().info("process_started")


def get_log(name: str) -> Any:  # noqa: ANN401 (structlog's loggers have no common type)
    """Return a logger whose lines carry `stage=name`; it follows a later `configure_logging`."""
    return structlog.get_logger(stage=name)


def printable(text: str) -> str:
    r"""Return text with everything that does not print, such as line breaks and direction marks, as escapes.

    >>> print(printable("A1\n\u202eB2 \u00b5m"))
    A1\n\u202eB2 µm
    """
    if text.isprintable():
        return text
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode("ascii") for char in text)


def guarded(value: Any) -> Any:  # noqa: ANN401 (any value that somebody logs)
    r"""Return a logged value with its texts printable, and passwords and tokens inside addresses left out.

    >>> guarded({"url": "redis://:pa55@host:6379/0", "token": "abc", "names": ["a\x1b[2J"]})
    {'url': 'redis://[hidden]@host:6379/0', 'token': '[hidden]', 'names': ['a\\x1b[2J']}
    """
    if isinstance(value, str):
        without = ADDRESS_PASSWORD.sub(f"{HIDDEN}@", value)
        return printable(ADDRESS_TOKEN.sub(rf"\g<1>{HIDDEN}", without))
    if isinstance(value, Mapping):
        return {guarded(str(name)): _hidden_or(str(name), item) for name, item in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, bytes | bytearray):
        return [guarded(item) for item in value]
    if value is None or isinstance(value, bool | int | float):
        return value
    return guarded(str(value))


def guard(logger: object, method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Guard every value of a log line, as a structlog processor; a traceback keeps its line breaks, indented."""
    for name, value in event.items():
        if name == "exception":
            event[name] = "\n  ".join(guarded(line) for line in str(value).splitlines())
        elif not name.startswith("_"):
            event[name] = _hidden_or(name, value)
    return event


def short_line(logger: object, method: str, event: MutableMapping[str, Any]) -> str:
    """Render a log line for people, as a structlog processor: time (UTC), worker, what happened, details."""
    rest = dict(event)
    moment = str(rest.pop("timestamp", ""))[11:19]
    level = LEVELS.get(str(rest.pop("level", "")), "     ")
    exception = rest.pop("exception", None)
    head = f"{moment} {level} {rest.pop('worker', '')}: {rest.pop('event', '')}"
    details = "".join(f"  {name}={value}" for name, value in rest.items() if name != "stage")
    return head + details + (f"\n  {exception}" if exception else "")


def _hidden_or(name: str, value: Any) -> Any:  # noqa: ANN401 (any value that somebody logs)
    return HIDDEN if SECRET_NAME.search(name) and name not in PLACES else guarded(value)


def _shared() -> list[Any]:
    return [
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]


def _formatter(renderer: Any, worker: str) -> logging.Formatter:  # noqa: ANN401 (structlog's renderers have no common type)
    def name_worker(logger: object, method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
        return {**event, "worker": event.get("worker", worker)}

    return structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=_shared(),
        processors=[
            structlog.stdlib.ProcessorFormatter.remove_processors_meta,
            structlog.processors.format_exc_info,
            name_worker,
            guard,
            renderer,
        ],
    )
