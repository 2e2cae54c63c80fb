"""Convex hulls and Feret diameters, from where the rows of an instance begin and end.

Points are pixel corners, so that a single pixel has a hull of one pixel.
"""

import numba
import numpy as np
from numpy.typing import NDArray

from monitor.features.label_runs import LabelRuns, Places, Vector


def hulls(runs: LabelRuns, boxes: NDArray[np.int64]) -> Vector:
    """Return largest and smallest Feret diameter and area of the hull, (N, 3), in pixels; `boxes` as measured."""
    result: Vector = _hulls(runs.instance, runs.start, runs.end, runs.begins, boxes)
    return result


@numba.njit(cache=True, nogil=True)
def _hulls(instance: Places, start: Places, end: Places, begins: NDArray[np.int64], boxes: NDArray[np.int64]) -> Vector:
    count = boxes.shape[0]
    offset = np.zeros(count + 1, np.int64)
    for k in range(count):
        offset[k + 1] = offset[k] + boxes[k, 1] - boxes[k, 0] + 2  # lines between rows, one more than rows
    left = np.full(offset[count], np.iinfo(np.int32).max, np.int32)
    right = np.full(offset[count], -1, np.int32)
    for y in range(begins.size - 1):
        for run in range(begins[y], begins[y + 1]):
            k = instance[run]
            line = offset[k] + y - boxes[k, 0]
            for corner in range(2):
                left[line + corner] = min(left[line + corner], start[run])
                right[line + corner] = max(right[line + corner], end[run])
    result = np.zeros((count, 3))
    for k in range(count):
        hull = _hull(left[offset[k] : offset[k + 1]], right[offset[k] : offset[k + 1]])
        result[k, 0], result[k, 1], result[k, 2] = _diameters(hull)
    return result


@numba.njit(cache=True, nogil=True)
def _hull(left: Places, right: Places) -> Vector:
    """Andrew's monotone chain (1979), line by line: down the left side, up the right side; (H, 2) of x, y."""
    lines = left.size
    hull = np.empty((2 * lines, 2))
    size = 0
    for line in range(lines):
        if right[line] >= 0:
            while size >= 2 and _turn(hull, size, left[line], line) >= 0.0:
                size -= 1
            hull[size, 0], hull[size, 1] = left[line], line
            size += 1
    lower = size + 1
    for line in range(lines - 1, -1, -1):
        if right[line] >= 0:
            while size >= lower and _turn(hull, size, right[line], line) >= 0.0:
                size -= 1
            hull[size, 0], hull[size, 1] = right[line], line
            size += 1
    return hull[:size]


@numba.njit(cache=True, nogil=True)
def _turn(hull: Vector, size: int, x: float, y: float) -> float:
    """Return twice the signed area of the last two points and a new one."""
    ox, oy = hull[size - 2, 0], hull[size - 2, 1]
    return float((hull[size - 1, 0] - ox) * (y - oy) - (hull[size - 1, 1] - oy) * (x - ox))


@numba.njit(cache=True, nogil=True)
def _diameters(hull: Vector) -> tuple[float, float, float]:
    """Return largest and smallest Feret diameter and area of a convex polygon."""
    count = hull.shape[0]
    largest, smallest, doubled = 0.0, np.inf, 0.0
    for i in range(count):
        x, y = hull[i, 0], hull[i, 1]
        j = i + 1 if i + 1 < count else 0
        dx, dy = hull[j, 0] - x, hull[j, 1] - y
        doubled += x * hull[j, 1] - hull[j, 0] * y
        across = 0.0
        for k in range(count):
            across = max(across, abs(dx * (hull[k, 1] - y) - dy * (hull[k, 0] - x)))
        for k in range(i + 1, count):
            ex, ey = hull[k, 0] - x, hull[k, 1] - y
            largest = max(largest, ex * ex + ey * ey)
        length = dx * dx + dy * dy
        if length > 0.0:
            smallest = min(smallest, across / np.sqrt(length))
    return np.sqrt(largest), smallest, abs(doubled) / 2.0
