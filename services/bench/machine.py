"""What a figure was measured on: processor, GPU, memory, system, versions, and how busy it was."""

import contextlib
import os
import platform
from importlib.metadata import PackageNotFoundError, version

import torch

from monitor.engine.hardware import fingerprint

PACKAGES = (
    "cellvigil", "numpy", "scipy", "scikit-image", "numba", "torch", "openvino", "nncf", "torch-tensorrt", "tensorrt",
    "lightgbm", "redis", "tifffile",
)  # fmt: skip


def machine() -> dict[str, object]:
    """Return the fingerprint that built engines depend on, cores, memory (GiB), system, versions, threads and load."""
    pages = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    packages: dict[str, str] = {}
    for name in PACKAGES:
        with contextlib.suppress(PackageNotFoundError):
            packages[name] = version(name)
    return {
        **fingerprint(),
        "cores": os.cpu_count(),
        "memory_gib": round(pages / 2**30, 1),
        "system": platform.platform(),
        "python": platform.python_version(),
        "packages": packages,
        "torch_threads": torch.get_num_threads(),
        "load_before": round(os.getloadavg()[0], 2),
    }
