"""The whole examination in order, and its report."""

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict

from services.doctor.alarms import check_alarms, check_audit
from services.doctor.check import Check, Level
from services.doctor.engines import check_engines
from services.doctor.folders import (
    check_clock,
    check_disk,
    check_events,
    check_inotify,
    check_secrets,
    check_state_file_system,
    check_state_folder,
    check_watch_folder,
)
from services.doctor.installation import check_numba_cache, check_openmp, check_owners, check_python
from services.doctor.models import check_models
from services.doctor.queue_server import check_queue
from services.settings import Settings

MEND_INDENT = " " * 9


def diagnose(settings: Settings, *, quick: bool = False) -> list[Check]:
    """Look at everything once and return what was found, in the order of the report.

    `quick` leaves out torch, the engines, lightgbm and the models, which take seconds: for a health check that runs
    every minute.
    """
    groups: list[Callable[[], Iterable[Check]]] = [
        lambda: _installation(quick),
        lambda: check_queue(settings.server.url, settings.state),
        lambda: _folders(settings),
    ]
    if not quick:
        groups[1:1] = [check_engines, lambda: check_models(settings)]
        groups += [lambda: check_alarms(settings), lambda: check_audit(settings)]
    with ThreadPoolExecutor(len(groups)) as rooms:
        return [check for checks in rooms.map(lambda group: list(group()), groups) for check in checks]


def render(checks: Sequence[Check], *, as_json: bool = False) -> str:
    """Return the report: one line per check and its mend below it, or a JSON list of the checks.

    >>> from services.doctor.check import ok, warning
    >>> print(render([ok("python", "3.11.7"), warning("disk", "4.0 GiB free", "free some space")]))
    ok       python  3.11.7
    warning  disk    4.0 GiB free
             mend: free some space
    1 warning
    """
    if as_json:
        return json.dumps([asdict(check) for check in checks], indent=2)
    width = max((len(check.name) for check in checks), default=0)
    return "\n".join([*(line for check in checks for line in _lines(check, width)), _summary(checks)])


def exit_code(checks: Iterable[Check]) -> int:
    """Return 1 when anything puts frames or results at risk, else 0."""
    return int(any(check.level is Level.PROBLEM for check in checks))


def _installation(quick: bool) -> Iterator[Check]:
    yield check_python()
    yield from check_owners()
    yield check_numba_cache()
    if not quick:
        yield check_openmp()


def _folders(settings: Settings) -> Iterator[Check]:
    yield check_state_folder(settings.state)
    yield check_state_file_system(settings.state)
    yield check_disk(settings.state)
    yield check_watch_folder(settings.watch)
    yield check_events(settings.watch)
    yield check_inotify(settings.watch)
    yield check_clock(settings.watch)
    yield from check_secrets(settings.notifier)


def _lines(check: Check, width: int) -> Iterator[str]:
    yield f"{check.level:<7}  {check.name:<{width}}  {_one_line(check.what)}"
    if check.mend:
        yield f"{MEND_INDENT}mend: {_one_line(check.mend)}"


def _one_line(text: str) -> str:
    """Return text without control characters: folder names and libraries' errors are not ours."""
    return "".join(character if character.isprintable() else " " for character in text)


def _summary(checks: Sequence[Check]) -> str:
    counts = [(sum(check.level is level for check in checks), level) for level in (Level.PROBLEM, Level.WARNING)]
    found = [f"{count} {level}{'s' if count > 1 else ''}" for count, level in counts if count]
    return ", ".join(found) or "all is well"
