"""cellvigil's library: what happens to a frame, in memory; no Redis, no clock, no environment.

The names below are for programs of your own. They are imported when they are asked for, so that `import monitor` costs
nothing; where types matter, import the same names from `monitor.api` and `monitor.errors`.
"""

from typing import Any

from monitor.lazily import given

__version__ = "0.1.0"

_PLACES = {
    "Frame": "monitor.frames.frame",
    "read_frame": "monitor.api",
    "segment_image": "monitor.api",
    "measure": "monitor.api",
    "load_potency_model": "monitor.api",
    "predict": "monitor.api",
    "CellvigilError": "monitor.errors",
    "EngineFailure": "monitor.errors",
    "FrameNotReady": "monitor.errors",
    "FrameRejected": "monitor.errors",
    "ModelRefused": "monitor.errors",
    "SettingsError": "monitor.errors",
}

__all__ = ["__version__", *_PLACES]


def __getattr__(name: str) -> Any:  # noqa: ANN401 (whatever bears the name)
    return given(__name__, _PLACES, name)


def __dir__() -> list[str]:
    return sorted({*globals(), *_PLACES})
