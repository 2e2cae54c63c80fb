"""The network compiled ahead of time by torch's own compiler: machine code for this CPU, or kernels for this GPU.

The package holds native code and weights for one machine and is kept in the engine store, so that a restart takes a
second instead of a minute. Frame size and batch stay free.
"""

import hashlib
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from monitor.engine.buckets import BUCKETS, Graphs, in_buckets
from monitor.engine.hardware import fingerprint
from monitor.engine.store import BuiltFor, EngineStore, kept_digest
from monitor.errors import EngineFailure
from monitor.network.segnet import SegmentationNetwork

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

PACKAGE = "engine.pt2"
MOST_STRIDES = 256
"""Largest side of a frame, in units of 32 pixels."""


class CompiledEngine:
    """See `SegmentationEngine`; float32 frame by frame on a CPU, float16 in buckets with CUDA graphs on a GPU.

    Parameters
    ----------
    store, build
        Where the package is kept, and whether it may be made now when it is not there.

    Raises
    ------
    EngineFailure
        `not_built`; `compiler` when it cannot be built here; `damaged` or `foreign` when a kept one is refused.
    """

    def __init__(
        self,
        network: SegmentationNetwork,
        weights_sha256: str,
        *,
        device: str | None = None,
        threads: int | None = None,
        store: EngineStore,
        build: bool = True,
    ) -> None:
        if threads is not None:
            torch.set_num_threads(threads)
        self._device = device or ("cuda" if torch.cuda.is_available() else "cpu")
        self._dtype = torch.float16 if self._device == "cuda" else torch.float32
        built_for = BuiltFor(
            engine=self.name,
            weights_sha256=weights_sha256,
            machine=fingerprint(),
            versions={"torch": torch.__version__},
        )
        folder = store.find(built_for)
        if folder is None and not build:
            message = "it was never built for this machine and these weights; run `cellvigil engine build compiled`"
            raise EngineFailure(message, reason="not_built")
        if folder is None:
            folder = store.build(built_for, lambda part: self._compile(network, part / PACKAGE))
        self._digest = kept_digest(folder)
        run: Callable[[Tensor], Tensor] = torch._inductor.aoti_load_package(str(folder / PACKAGE))
        self._run = Graphs(run) if self._device == "cuda" else run

    @property
    def name(self) -> str:
        """What really runs."""
        return f"compiled-{self._device}-{'fp16' if self._dtype is torch.float16 else 'fp32'}"

    @property
    def digest(self) -> str:
        """Digest of engine, precision, versions, machine and of the code that was generated for it."""
        return hashlib.sha256(f"{self.name}|{self._digest}".encode()).hexdigest()

    @property
    def batch_size(self) -> int:
        """Largest batch worth making."""
        return BUCKETS[-1] if self._device == "cuda" else 1

    @property
    def device(self) -> str:
        """Where it computes."""
        return self._device

    def warm_up(self) -> None:
        """Run once on an empty frame."""
        self(np.zeros((1, 1, 256, 256), np.float32))

    def __call__(self, batch: NDArray[np.float32]) -> NDArray[np.float32]:
        """Map [B, 1, H, W] to [B, K, H, W]."""
        maps: NDArray[np.float32] = self.maps_on_device(torch.from_numpy(batch).to(self._device)).cpu().numpy()
        return maps

    def maps_on_device(self, frames: Tensor) -> Tensor:
        """See `DeviceEngine`."""
        try:
            with torch.inference_mode():
                narrow = frames.to(self._dtype)
                if self._device == "cuda":
                    return in_buckets(self._run, narrow).float()
                return torch.cat([self._run(frame) for frame in torch.split(narrow, 1)]).float()
        except torch.OutOfMemoryError as error:
            message = f"{self.name} ran out of memory on {tuple(frames.shape)}"
            raise EngineFailure(message, reason="out_of_memory") from error
        except RuntimeError as error:
            raise EngineFailure(f"{self.name} failed on {tuple(frames.shape)}: {error}", reason="failed") from error

    def _compile(self, network: SegmentationNetwork, file: "Path") -> None:
        ready = network.eval().to(self._device, self._dtype)
        gpu = self._device == "cuda"
        if gpu:
            ready.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # valid, missing in the stubs
        sides = {
            axis: 32 * torch.export.Dim(name, min=2, max=MOST_STRIDES) for axis, name in ((2, "rows"), (3, "columns"))
        }
        shapes: dict[int, Any] = sides | ({0: torch.export.Dim("batch", min=1, max=BUCKETS[-1])} if gpu else {})
        example = torch.zeros((2 if gpu else 1, 1, 96, 64), dtype=self._dtype, device=self._device)
        try:
            with torch.no_grad():
                exported = torch.export.export(ready, (example,), dynamic_shapes=(shapes,))
                torch._inductor.aoti_compile_and_package(  # its documented place
                    exported,
                    package_path=str(file),
                    # frozen weights are packed for the CPU's kernels; together with channels_last torch 2.13 packs
                    # them wrongly, so each device has one of the two
                    inductor_configs={"freezing": not gpu},
                )
        except Exception as error:  # whatever a compiler throws
            message = f"the network cannot be compiled here: {str(error).strip().splitlines()[-1]}"
            raise EngineFailure(message, reason="compiler") from error
