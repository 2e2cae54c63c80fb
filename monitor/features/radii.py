"""Radii of every instance: how deep its pixels lie under its outline, and how far its outline is from its centroid."""

import numba
import numpy as np
from numpy.typing import NDArray

from monitor.features.contour import Contours
from monitor.features.label_runs import LabelRuns, Places, Vector


def depths(labels: NDArray[np.int32], runs: LabelRuns) -> Vector:
    """Return maximum, mean and median depth of the pixels of each instance, (N, 3) float64 in pixels, > 0.

    The depth of a pixel is its Euclidean distance to the nearest pixel that is not of the instance, less half a pixel,
    which is where the outline runs; what lies beyond the image is not of it. These are maximum, mean and median radius
    as CellProfiler defines them (Carpenter et al. 2006, `MeasureObjectSizeShape`), which does not take the half pixel
    off. A disc of radius R has R, R / 3 and R (1 - 1 / sqrt 2).
    """
    found: Vector = _depths(np.ascontiguousarray(labels), runs.instance, runs.start, runs.end, runs.begins, runs.count)
    return found


@numba.njit(cache=True, nogil=True)
def _depths(
    labels: NDArray[np.int32], instance: Places, start: Places, end: Places, begins: NDArray[np.int64], count: int
) -> Vector:
    upright = _upright(labels)
    offset = np.zeros(count + 1, np.int64)
    for run in range(instance.size):
        offset[instance[run] + 1] += end[run] - start[run]
    offset = np.cumsum(offset)
    depth = np.empty(offset[count], np.float32)
    used = offset[:-1].copy()
    for y in range(begins.size - 1):
        for run in range(begins[y], begins[y + 1]):
            k, first, last = instance[run], start[run], end[run]
            for x in range(first, last):
                squared = _nearest(upright[y], x, first, last)
                depth[used[k]] = np.sqrt(squared) - 0.5
                used[k] += 1
    found = np.empty((count, 3))
    for k in range(count):
        own = depth[offset[k] : offset[k + 1]]
        found[k, 0], found[k, 1], found[k, 2] = own.max(), own.astype(np.float64).mean(), np.median(own)
    return found


@numba.njit(cache=True, nogil=True)
def _upright(labels: NDArray[np.int32]) -> Places:
    """Return how far the nearest pixel of another label is in the same column."""
    rows, columns = labels.shape
    distance = np.ones((rows, columns), np.int32)
    for y in range(1, rows):
        for x in range(columns):
            if labels[y, x] == labels[y - 1, x]:
                distance[y, x] = distance[y - 1, x] + 1
    below = np.ones(columns, np.int32)
    distance[rows - 1] = 1
    for y in range(rows - 2, -1, -1):
        for x in range(columns):
            below[x] = below[x] + 1 if labels[y, x] == labels[y + 1, x] else 1
            distance[y, x] = min(distance[y, x], below[x])
    return distance


@numba.njit(cache=True, nogil=True)
def _nearest(upright: Places, x: int, first: int, last: int) -> int:
    """Return the squared distance to the nearest pixel outside; the search ends where none can be nearer."""
    least = min(x - first + 1, last - x)
    squared = min(least * least, int(upright[x]) ** 2)
    step = 1
    while step * step < squared:
        if x - step >= first:
            squared = min(squared, step * step + int(upright[x - step]) ** 2)
        if x + step < last:
            squared = min(squared, step * step + int(upright[x + step]) ** 2)
        step += 1
    return squared


def centroid_distances(contours: Contours, centroid_y: Vector, centroid_x: Vector) -> Vector:
    """Return maximum, mean and median distance from centroid to outline, (N, 3) float64 in pixels, >= 0.

    Mean and median are over the length of the outer outline (the "centroid distance function" of Zhang & Lu 2004).
    """
    found: Vector = _centroid_distances(contours.y, contours.x, contours.begins, centroid_y, centroid_x)
    return found


@numba.njit(cache=True, nogil=True)
def _centroid_distances(y: Vector, x: Vector, begins: NDArray[np.int64], centre_y: Vector, centre_x: Vector) -> Vector:
    found = np.empty((centre_y.size, 3))
    for k in range(centre_y.size):
        own_y, own_x = y[begins[k] : begins[k + 1]], x[begins[k] : begins[k + 1]]
        count = own_y.size
        distance, length = np.empty(count), np.empty(count)
        for i in range(count):
            after, before = (i + 1) % count, (i - 1) % count
            distance[i] = np.hypot(own_y[i] - centre_y[k], own_x[i] - centre_x[k])
            length[i] = np.hypot(own_y[after] - own_y[i], own_x[after] - own_x[i]) / 2.0
            length[i] += np.hypot(own_y[i] - own_y[before], own_x[i] - own_x[before]) / 2.0
        order = np.argsort(distance)
        passed, half = 0.0, length.sum() / 2.0
        for i in order:
            passed += length[i]
            if passed >= half:
                found[k, 2] = distance[i]
                break
        found[k, 0], found[k, 1] = distance.max(), (distance * length).sum() / length.sum()
    return found
