"""A frame from an array in memory, held to what is asked of a frame in a file."""

from typing import Any, cast

import numpy as np
from numpy.typing import ArrayLike, NDArray

from monitor.errors import FrameRejected
from monitor.frames.colour import grey_of
from monitor.frames.frame import Frame
from monitor.frames.pixel_size import PLAUSIBLE_UM

TAKEN = ("uint8", "uint16", "float32")


def frame_of(pixels: ArrayLike, pixel_size_um: float) -> Frame:
    """Return an array as a frame.

    Parameters
    ----------
    pixels
        (Y, X) uint8, uint16, float32 or float64, finite: camera counts or any linear scale of them. Of colour, as
        (Y, X, 3) or (Y, X, 4) uint8 or uint16, the luminance is taken. It is not copied where that can be helped.
    pixel_size_um
        Side of a square pixel in micrometres, 0.05 to 20.

    Returns
    -------
    Frame
        (Y, X) uint8, uint16 or float32.

    Raises
    ------
    FrameRejected
        `wrong_axes`, `wrong_dtype`, `not_finite`, `rgb` (transparent parts) or `bad_pixel_size`, with the mend.
    """
    low, high = PLAUSIBLE_UM
    if not low <= pixel_size_um <= high:
        message = (
            f"a pixel of {pixel_size_um!r} um is none of a cell-culture microscope ({low:g} to {high:g}); correct it"
        )
        raise FrameRejected(message, reason="bad_pixel_size")
    given: NDArray[Any] = np.asarray(pixels)
    if given.ndim == 3 and given.shape[-1] in (3, 4) and given.dtype.name in ("uint8", "uint16"):
        given = grey_of(cast("NDArray[np.unsignedinteger]", given), "the array")
    if given.ndim != 2 or 0 in given.shape:
        message = f"the array has the shape {given.shape}; give one plane of one channel, (rows, columns)"
        raise FrameRejected(message, reason="wrong_axes")
    if given.dtype == np.float64:
        with np.errstate(over="ignore"):
            given = given.astype(np.float32)
    if given.dtype.name not in TAKEN:
        message = f"the array is of {given.dtype}; convert it to {', '.join(TAKEN)}, without clipping"
        raise FrameRejected(message, reason="wrong_dtype")
    if given.dtype == np.float32 and not np.isfinite(given).all():
        raise FrameRejected("the array holds NaN or infinite pixels; fill or crop them", reason="not_finite")
    return Frame(pixels=given.astype(given.dtype.newbyteorder("="), copy=False), pixel_size_um=float(pixel_size_um))
