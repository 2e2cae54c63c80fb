"""Thin processes that carry frames to `monitor` and its facts to people.

For programs of your own: `open_state(folder)` gives what a run kept. It is imported when it is asked for.
"""

from typing import Any

from monitor.lazily import given

_PLACES = {"open_state": "services.tables.opened_run", "OpenedRun": "services.tables.opened_run"}

__all__ = [*_PLACES]


def __getattr__(name: str) -> Any:  # noqa: ANN401 (whatever bears the name)
    return given(__name__, _PLACES, name)


def __dir__() -> list[str]:
    return sorted({*globals(), *_PLACES})
