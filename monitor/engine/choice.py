"""Which engines there are, in which order they are tried, and how each is made."""

import os
from pathlib import Path
from typing import Final, Literal

import torch

from monitor.engine.base import SegmentationEngine
from monitor.engine.eager import EagerEngine
from monitor.engine.store import EngineStore
from monitor.network.segnet import SegmentationNetwork

REFERENCE: Final = "eager"
ENGINES: Final = ("eager", "compiled", "tensorrt", "openvino", "openvino-bf16", "openvino-int8")
AUTO: Final = "auto"
ON_GPU: Final = ("tensorrt", "compiled")
ON_CPU: Final = ("openvino-int8", "openvino-bf16", "openvino")
"""What `auto` tries, fastest first; the reference is what is left."""


def preferred() -> tuple[str, ...]:
    """Return the engines that `auto` tries here, in order, the reference last."""
    return (*(ON_GPU if torch.cuda.is_available() else ON_CPU), REFERENCE)


def make_engine(
    name: str,
    network: SegmentationNetwork,
    weights_sha256: str,
    *,
    threads: int | None = None,
    store: EngineStore | None = None,
    build: bool = True,
) -> SegmentationEngine:
    """Return an engine by its name.

    Parameters
    ----------
    network
        Float32 on the CPU, in evaluation mode; it belongs to the engine from here on.
    store
        Where built engines are kept; without one in the user's cache folder.
    build
        Whether an engine that takes minutes to make may be made; otherwise only one that was built before serves.

    Raises
    ------
    EngineFailure
        The engine cannot run here (`not_installed`, `precision`, `no_gpu`, `not_built`), and what would help.
    ValueError
        There is no such engine.
    """
    if name not in ENGINES:
        raise ValueError(f"there is no engine {name!r}; choose among {', '.join(ENGINES)}")
    kept = store or default_store()
    if name == "compiled" and torch.cuda.is_available():
        from monitor.engine.fused import FusedEngine

        return FusedEngine(network)
    if name == "compiled":
        from monitor.engine.compiled import CompiledEngine

        return CompiledEngine(network, weights_sha256, threads=threads, store=kept, build=build)
    if name == "tensorrt":
        from monitor.engine.tensorrt import TensorRtEngine

        return TensorRtEngine(network, weights_sha256, store=kept, build=build)
    if name == "openvino-int8":
        from monitor.engine.openvino import quantised

        return quantised(network, weights_sha256, threads=threads, store=kept, build=build)
    if name.startswith("openvino"):
        from monitor.engine.openvino import converted

        precision: Literal["fp32", "bf16"] = "bf16" if name.endswith("bf16") else "fp32"
        return converted(network, weights_sha256, precision=precision, threads=threads, store=kept)
    return EagerEngine(network, threads=threads)


def default_store() -> EngineStore:
    """Return the store that commands without a state folder use, under the user's cache folder."""
    base = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return EngineStore(Path(base) / "cellvigil" / "engines")
