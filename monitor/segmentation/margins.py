"""Margins around cells, however wide, in one pass over the frame."""

import numba
import numpy as np
from numpy.typing import NDArray


def within(steps: int, mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Return (Y, X) bool: pixels of the mask and those at most so many steps from it, up, down and sideways.

    The same as `scipy.ndimage.binary_dilation` with so many iterations.
    """
    found: NDArray[np.bool_] = _steps_to(np.ascontiguousarray(mask), steps + 1) <= steps
    return found


@numba.njit(cache=True, nogil=True)
def _steps_to(mask: NDArray[np.bool_], most: int) -> NDArray[np.int16]:
    """Return steps from each pixel to the nearest of the mask, `most` where it is farther: down, up, and sideways."""
    rows, columns = mask.shape
    steps = np.empty((rows, columns), np.int16)
    for y in range(rows):
        for x in range(columns):
            above = steps[y - 1, x] if y > 0 else most
            steps[y, x] = 0 if mask[y, x] else min(most, above + (above < most))
    for y in range(rows - 1, -1, -1):
        if y < rows - 1:
            for x in range(columns):
                below = steps[y + 1, x]
                steps[y, x] = min(steps[y, x], below + (below < most))
        line = steps[y]
        beside = most
        for x in range(columns):
            beside = min(beside + (beside < most), line[x])
            line[x] = beside
        beside = most
        for x in range(columns - 1, -1, -1):
            beside = min(beside + (beside < most), line[x])
            line[x] = beside
    return steps
