"""The network compiled ahead of time by torch's own compiler to machine code for this CPU.

The package holds native code and weights for one machine and is kept in the engine store, so that a restart takes a
second instead of a minute. Frame size stays free. On a GPU `fused` takes its place: there a package compiled for free
sizes of batch and frame crashed the process that ran it (torch 2.11, H100).
"""

import hashlib
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

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
    """See `SegmentationEngine`; float32, frame by frame, on the CPU.

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
        threads: int | None = None,
        store: EngineStore,
        build: bool = True,
    ) -> None:
        if threads is not None:
            torch.set_num_threads(threads)
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
        self._run: Callable[[Tensor], Tensor] = torch._inductor.aoti_load_package(str(folder / PACKAGE))

    @property
    def name(self) -> str:
        """What really runs."""
        return "compiled-cpu-fp32"

    @property
    def digest(self) -> str:
        """Digest of engine, precision, versions, machine and of the code that was generated for it."""
        return hashlib.sha256(f"{self.name}|{self._digest}".encode()).hexdigest()

    @property
    def batch_size(self) -> int:
        """Largest batch worth making."""
        return 1

    @property
    def device(self) -> str:
        """Where it computes."""
        return "cpu"

    def warm_up(self) -> None:
        """Run once on an empty frame."""
        self(np.zeros((1, 1, 256, 256), np.float32))

    def __call__(self, batch: NDArray[np.float32]) -> NDArray[np.float32]:
        """Map [B, 1, H, W] to [B, K, H, W]."""
        maps: NDArray[np.float32] = self.maps_on_device(torch.from_numpy(batch)).numpy()
        return maps

    def maps_on_device(self, frames: Tensor) -> Tensor:
        """See `DeviceEngine`."""
        try:
            with torch.inference_mode():
                return torch.cat([self._run(frame) for frame in torch.split(frames, 1)])
        except RuntimeError as error:
            raise EngineFailure(f"{self.name} failed on {tuple(frames.shape)}: {error}", reason="failed") from error

    def _compile(self, network: SegmentationNetwork, file: "Path") -> None:
        ready = network.eval()
        shapes: dict[int, Any] = {
            axis: 32 * torch.export.Dim(name, min=2, max=MOST_STRIDES) for axis, name in ((2, "rows"), (3, "columns"))
        }
        example = torch.zeros((1, 1, 96, 64))
        try:
            with torch.no_grad():
                exported = torch.export.export(ready, (example,), dynamic_shapes=(shapes,))
                torch._inductor.aoti_compile_and_package(  # its documented place
                    exported,
                    package_path=str(file),
                    # weights are packed for the CPU's kernels; not with channels_last, which torch 2.13 packs wrongly
                    inductor_configs={"freezing": True},
                )
        except Exception as error:  # whatever a compiler throws
            message = f"the network cannot be compiled here: {str(error).strip().splitlines()[-1]}"
            raise EngineFailure(message, reason="compiler") from error
