"""A decoded frame: pixels and the scale that turns them into micrometres."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Frame:
    """One plane of one channel.

    Attributes
    ----------
    pixels
        (Y, X), uint8, uint16 or float32, finite; camera counts or any linear scale of them. They cannot be written to:
        others may read the same memory.
    pixel_size_um
        Side of a square pixel in micrometres, > 0.
    """

    pixels: NDArray[np.generic]
    pixel_size_um: float

    def __post_init__(self) -> None:
        if self.pixels.flags.writeable:
            pixels = self.pixels.view()
            pixels.flags.writeable = False
            object.__setattr__(self, "pixels", pixels)

    @property
    def shape(self) -> tuple[int, int]:
        """(rows, columns) in pixels."""
        rows, columns = self.pixels.shape
        return int(rows), int(columns)
