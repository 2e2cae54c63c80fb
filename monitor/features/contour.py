"""The outer outline of every instance as a closed chain of points, half-way between pixels inside and outside."""

from dataclasses import dataclass

import numba
import numpy as np
from numpy.typing import NDArray

from monitor.features.label_runs import LabelRuns, Vector

Flags = NDArray[np.uint8]
STEP_Y = np.array([0, 1, 0, -1])
STEP_X = np.array([1, 0, -1, 0])
"""East, south, west, north."""


@dataclass(frozen=True, slots=True)
class Contours:
    """Closed outlines of the instances 1..N.

    y, x: (P,) float64 in pixels, centres of pixels at whole numbers, clockwise as seen on the screen; begins:
    (N + 1,) int64, where the points of each instance begin.
    """

    y: Vector
    x: Vector
    begins: NDArray[np.int64]


def trace(labels: NDArray[np.int32], runs: LabelRuns) -> Contours:
    """Follow the edges between pixels around every instance of a (Y, X) int32 label image.

    Pixels that touch at a corner belong together. A point is the middle of an edge between pixels, which leaves of the
    stairs of a slanted outline what is less than half a pixel. Of an instance in several parts the outline of the
    largest is kept; outlines of holes are none.
    """
    y, x, begins = _trace(
        np.ascontiguousarray(labels),
        runs.instance,
        runs.start,
        runs.begins,
        runs.count,
        int((runs.end - runs.start).sum()),
    )
    return Contours(y, x, begins)


@numba.njit(cache=True, nogil=True)
def _trace(
    labels: NDArray[np.int32],
    instance: NDArray[np.int32],
    start: NDArray[np.int32],
    begins: NDArray[np.int64],
    count: int,
    pixels: int,
) -> tuple[Vector, Vector, NDArray[np.int64]]:
    seen = np.zeros(labels.shape, np.uint8)
    # memory that nothing writes to is never taken: two edges for a run, two at most for a pixel
    y, x = np.empty(2 * (pixels + start.size)), np.empty(2 * (pixels + start.size))
    used = 0
    largest, place, length = np.zeros(count), np.zeros(count, np.int64), np.zeros(count, np.int64)
    for row in range(begins.size - 1):
        for run in range(begins[row], begins[row + 1]):
            if seen[row, start[run]]:
                continue
            k = instance[run]
            points, area = _follow(labels, seen, row, start[run], y[used:], x[used:])
            if area > largest[k]:
                largest[k], place[k], length[k] = area, used, points
            used += points
    first = np.zeros(count + 1, np.int64)
    first[1:] = np.cumsum(length)
    kept_y, kept_x = np.empty(first[count]), np.empty(first[count])
    for k in range(count):
        kept_y[first[k] : first[k + 1]] = y[place[k] : place[k] + length[k]]
        kept_x[first[k] : first[k + 1]] = x[place[k] : place[k] + length[k]]
    return kept_y, kept_x, first


@numba.njit(cache=True, nogil=True)
def _follow(labels: NDArray[np.int32], seen: Flags, row: int, column: int, y: Vector, x: Vector) -> tuple[int, float]:
    """Follow one outline from the left edge of a pixel, north; return its points and the area it encloses.

    The instance lies to the right, so that the area of a hole is negative.
    """
    rows, columns = labels.shape
    label = labels[row, column]
    corner_y, corner_x, heading = row + 1, column, 3
    points, area = 0, 0.0
    while True:
        dy, dx = STEP_Y[heading], STEP_X[heading]
        y[points], x[points] = corner_y + dy / 2.0 - 0.5, corner_x + dx / 2.0 - 0.5
        points += 1
        area += corner_x * dy
        corner_y, corner_x = corner_y + dy, corner_x + dx
        if heading == 3:
            seen[corner_y, corner_x] = 1
        # the pixels ahead: to the right is a quarter turn from the heading, to the left the other
        right_y, right_x = corner_y + min(0, dy + dx), corner_x + min(0, dx - dy)
        left_y, left_x = corner_y + min(0, dy - dx), corner_x + min(0, dx + dy)
        if 0 <= left_y < rows and 0 <= left_x < columns and labels[left_y, left_x] == label:
            heading = (heading + 3) % 4
        elif not (0 <= right_y < rows and 0 <= right_x < columns and labels[right_y, right_x] == label):
            heading = (heading + 1) % 4
        if corner_y == row + 1 and corner_x == column and heading == 3:
            return points, area
