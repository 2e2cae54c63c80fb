"""What decoded pixels must be: finite, not one value throughout, not still to come."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from monitor.errors import FrameNotReady, FrameRejected

HALF_ZERO_FRACTION = 8
"""One row in so many, counted from the bottom, that is exactly zero says that writing has not come there yet."""


def check_pixels(pixels: NDArray[np.generic], path: Path, *, preallocated: bool) -> None:
    """Refuse pixels that no camera gives of cells.

    Parameters
    ----------
    pixels
        (Y, X), decoded.
    preallocated
        Whether the file could have been given its size before its content: zeros may then be still to come.

    Raises
    ------
    FrameNotReady
        `half_zero`, and `constant` where it may still be being written.
    FrameRejected
        `not_finite`, `constant`.
    """
    if pixels.dtype == np.float32 and not np.isfinite(pixels).all():
        message = f"{path.name} holds NaN or infinite pixels; export it again as integers"
        raise FrameRejected(message, reason="not_finite")
    low, high = pixels.min(), pixels.max()
    if low == high:
        message = f"{path.name} has the value {low} in every pixel; check the lamp, the shutter and the camera"
        error = FrameNotReady if preallocated and not high else FrameRejected
        raise error(message, reason="constant")
    bottom = pixels[-max(1, pixels.shape[0] // HALF_ZERO_FRACTION) :]
    if preallocated and not bottom.any():
        message = f"{path.name} has full size but its last rows are all zero, as if still being written; copy it again"
        raise FrameNotReady(message, reason="half_zero")
