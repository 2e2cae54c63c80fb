"""Sums of a plane over the instances of a label image, along its runs."""

import numba
import numpy as np
from numpy.typing import NDArray

from monitor.features.label_runs import LabelRuns, Places, Vector


def sums_over(plane: NDArray[np.generic], runs: LabelRuns) -> Vector:
    """Return sum and sum of squares of a (Y, X) plane of any real type over each instance, (N, 2) float64.

    NaN where a pixel of the instance is NaN.
    """
    sums: Vector = _sums_over(plane, runs.instance, runs.start, runs.end, runs.begins, runs.count)
    return sums


@numba.njit(cache=True, nogil=True)
def _sums_over(
    plane: NDArray[np.generic], instance: Places, start: Places, end: Places, begins: NDArray[np.int64], count: int
) -> Vector:
    sums = np.zeros((count, 2))
    for y in range(begins.size - 1):
        for run in range(begins[y], begins[y + 1]):
            total = squares = 0.0
            for x in range(start[run], end[run]):
                value = float(plane[y, x])
                total += value
                squares += value * value
            sums[instance[run], 0] += total
            sums[instance[run], 1] += squares
    return sums
