"""The contract of every engine: normalised frames in, maps out."""

from typing import TYPE_CHECKING, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from torch import Tensor


class SegmentationEngine(Protocol):
    """Runs the network. Every engine gives the same maps within its parity tolerance; eager is the reference."""

    @property
    def name(self) -> str:
        """What really runs, such as `eager-cpu-fp32`."""

    @property
    def digest(self) -> str:
        """Digest of everything that can change a map besides the weights: engine, precision, library versions."""

    @property
    def batch_size(self) -> int:
        """Largest batch worth making."""

    def warm_up(self) -> None:
        """Run once, so that the first frame is not slower than the rest."""

    def __call__(self, batch: NDArray[np.float32]) -> NDArray[np.float32]:
        """Map [B, 1, H, W] float32, H and W multiples of 32, to [B, K, H, W] float32 maps in the order of `Map`.

        Raises `EngineFailure` when the device gives up; a smaller batch may succeed.
        """


@runtime_checkable
class DeviceEngine(SegmentationEngine, Protocol):
    """An engine whose frames and maps can stay where it computes, so that only labels come back."""

    @property
    def device(self) -> str:
        """Where it computes: `cuda` or `cpu`."""

    def maps_on_device(self, frames: "Tensor") -> "Tensor":
        """Map [B, 1, H, W] float32 on the device to [B, K, H, W] float32 on the device; any B.

        On a GPU it is queued on the current stream. Raises as `SegmentationEngine.__call__`.
        """
