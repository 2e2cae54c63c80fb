"""The reference engine: PyTorch without compilation, on the CPU in float32 or on a GPU in float16."""

import hashlib

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from monitor.errors import EngineFailure
from monitor.network.segnet import SegmentationNetwork

GPU_BATCH = 16


class EagerEngine:
    """See `SegmentationEngine`.

    On a CPU frames go through one by one: a batch gains nothing there, and a frame's maps then never depend on its
    neighbours. `threads` sets torch's thread count for the whole process; None leaves it alone.
    """

    def __init__(self, network: SegmentationNetwork, *, device: str | None = None, threads: int | None = None) -> None:
        if threads is not None:
            torch.set_num_threads(threads)
        self._device = device or ("cuda" if torch.cuda.is_available() else "cpu")
        self._dtype = torch.float16 if self._device == "cuda" else torch.float32
        self._network = network.eval().to(self._device, self._dtype)
        self._network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # valid, missing in the stubs

    @property
    def name(self) -> str:
        """What really runs."""
        return f"eager-{self._device}-{'fp16' if self._dtype is torch.float16 else 'fp32'}"

    @property
    def digest(self) -> str:
        """Digest of engine, precision and torch version."""
        return hashlib.sha256(f"{self.name}|torch {torch.__version__}".encode()).hexdigest()

    @property
    def batch_size(self) -> int:
        """Largest batch worth making."""
        return GPU_BATCH if self._device == "cuda" else 1

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
                parts = [
                    self._network(part.contiguous(memory_format=torch.channels_last))
                    for part in torch.split(frames.to(self._dtype), self.batch_size)
                ]
                return torch.cat(parts).float()
        except torch.OutOfMemoryError as error:
            message = f"{self.name} ran out of memory on {tuple(frames.shape)}"
            raise EngineFailure(message, reason="out_of_memory") from error
