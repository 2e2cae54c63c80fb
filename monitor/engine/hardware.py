"""What the network runs on, in words: engines are built for one machine and refused on another."""

import platform
import re
from pathlib import Path

import torch

VECTOR_FLAGS = ("avx2", "avx512f", "avx512_vnni", "avx512_bf16", "avx512_fp16", "amx_bf16", "amx_int8", "asimd", "i8mm")


def processor(cpuinfo: Path = Path("/proc/cpuinfo")) -> dict[str, str]:
    """Return model and vector instructions of the processor; both decide which kernels run."""
    lines = cpuinfo.read_text(encoding="utf-8", errors="replace").splitlines() if cpuinfo.exists() else []
    fields = {name.strip().lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    flags = fields.get("flags", fields.get("features", "")).split()
    return {
        "processor": fields.get("model name", platform.processor() or platform.machine()),
        "vector": " ".join(flag for flag in VECTOR_FLAGS if flag in flags),
    }


def graphics() -> dict[str, str]:
    """Return model, compute capability and driver of the first GPU; empty without one."""
    if not torch.cuda.is_available():
        return {}
    seen = torch.cuda.get_device_properties(0)
    driver = Path("/proc/driver/nvidia/version")
    told = driver.read_text(encoding="utf-8").splitlines()[0] if driver.exists() else ""
    version = re.search(r"\d+(\.\d+)+", told)
    return {
        "gpu": seen.name,
        "capability": f"{seen.major}.{seen.minor}",
        "driver": version.group() if version else told or "unknown",
    }


def fingerprint() -> dict[str, str]:
    """Return everything about the machine that a built engine depends on."""
    return processor() | graphics()
