"""What a figure was measured on; every report carries it."""

import os
import platform
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

PACKAGES = (
    *("cellvigil", "numpy", "scipy", "scikit-image", "numba", "torch", "lightgbm", "redis", "tifffile"),
    *("openvino", "nncf", "tensorrt", "torch-tensorrt"),
)


def machine() -> dict[str, object]:
    """Return processor, cores, memory, system and the versions of the packages that matter."""
    pages = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return {
        "processor": _processor(),
        "cores": os.cpu_count(),
        "memory_gib": round(pages / 2**30, 1),
        "system": platform.platform(),
        "python": platform.python_version(),
        "packages": {name: found for name in PACKAGES if (found := _version(name)) is not None},
        "load_before": round(os.getloadavg()[0], 2),
    }


def _version(name: str) -> str | None:
    """Return what is installed; a machine that is lent for a benchmark may lack what the benchmark does not need."""
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def _processor() -> str:
    info = Path("/proc/cpuinfo")
    lines = info.read_text(encoding="utf-8").splitlines() if info.exists() else []
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor()
