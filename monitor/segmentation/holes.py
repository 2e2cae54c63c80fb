"""Small holes in a mask, filled; background is joined over edges, not over corners."""

import numba
import numpy as np
from numpy.typing import NDArray

from monitor.segmentation.runs import runs_of


def without_holes(mask: NDArray[np.bool_], max_area_px: float) -> NDArray[np.bool_]:
    """Return a (Y, X) mask in which every part of the background below `max_area_px` pixels is filled.

    A small part that the border of the frame cuts off counts as a hole as well.
    """
    filled: NDArray[np.bool_] = _filled(mask, max_area_px)
    return filled


@numba.njit(cache=True, nogil=True)
def _filled(mask: NDArray[np.bool_], max_area_px: float) -> NDArray[np.bool_]:
    start, end, part, begins = runs_of(~mask, 0)
    area = np.zeros(start.size, np.int64)
    for run in range(start.size):
        area[part[run]] += end[run] - start[run]
    filled = mask.copy()
    for row in range(mask.shape[0]):
        for run in range(begins[row], begins[row + 1]):
            if area[part[run]] < max_area_px:
                filled[row, start[run] : end[run]] = True
    return filled
