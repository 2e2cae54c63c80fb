"""Shape of every instance in one pass over the label image, in pixels.

Moments and axes follow scikit-image's region properties, perimeters its Crofton formula in four directions and its
weighted outline pixels (Benkrid & Crookes 2000). Hulls and Feret diameters are of pixel corners, so that a single
pixel has a hull of one pixel, where scikit-image takes pixel centres for Feret diameters and points half a pixel out
for the hull.
"""

from dataclasses import dataclass

import numba
import numpy as np
from numpy.typing import NDArray

Vector = NDArray[np.float64]
CHAIN_WEIGHTS = np.zeros(50)
"""Length that an outline pixel adds, by its neighbours in the outline: 2 for each beside it, 10 for each diagonal."""
CHAIN_WEIGHTS[[5, 7, 15, 17, 25, 27]] = 1.0
CHAIN_WEIGHTS[[21, 33]] = np.sqrt(2.0)
CHAIN_WEIGHTS[[13, 23]] = (1.0 + np.sqrt(2.0)) / 2.0


@dataclass(frozen=True, slots=True)
class Shapes:
    """Shapes of the instances 1..N, all (N,) float64 in pixels, and `touches_border` (N,) bool."""

    area: Vector
    centroid_y: Vector
    centroid_x: Vector
    perimeter: Vector
    perimeter_chain: Vector
    major_axis: Vector
    minor_axis: Vector
    max_feret: Vector
    min_feret: Vector
    hull_area: Vector
    box_area: Vector
    touches_border: NDArray[np.bool_]


def measure_shapes(labels: NDArray[np.int32]) -> Shapes:
    """Measure every instance of a (Y, X) int32 label image with ids 1..N without gaps."""
    count = int(labels.max(initial=0))
    sums, boxes = _sweep(labels, count)
    padded = np.pad(labels, 1)
    hulls = _hulls(labels, count, boxes)
    area = sums[:, 0]
    y, x = sums[:, 1] / area, sums[:, 2] / area
    myy = sums[:, 3] / area - y * y
    mxx = sums[:, 4] / area - x * x
    mxy = sums[:, 5] / area - x * y
    root = np.sqrt(((mxx - myy) / 2.0) ** 2 + mxy**2)
    middle = (mxx + myy) / 2.0
    edges = (boxes[:, 0] == 0) | (boxes[:, 2] == 0)
    edges |= (boxes[:, 1] == labels.shape[0] - 1) | (boxes[:, 3] == labels.shape[1] - 1)
    return Shapes(
        area=area,
        centroid_y=y,
        centroid_x=x,
        perimeter=_crofton(padded, count),
        perimeter_chain=_chain(padded, count, CHAIN_WEIGHTS),
        major_axis=4.0 * np.sqrt(middle + root),
        minor_axis=4.0 * np.sqrt(np.maximum(middle - root, 0.0)),
        max_feret=hulls[:, 0],
        min_feret=hulls[:, 1],
        hull_area=hulls[:, 2],
        box_area=(boxes[:, 1] - boxes[:, 0] + 1.0) * (boxes[:, 3] - boxes[:, 2] + 1.0),
        touches_border=edges,
    )


@numba.njit(cache=True, nogil=True)
def _sweep(labels: NDArray[np.int32], count: int) -> tuple[Vector, NDArray[np.int64]]:
    """Area and moments (N, 6); bounding boxes (N, 4): first and last row, first and last column."""
    sums = np.zeros((count, 6))
    boxes = np.empty((count, 4), np.int64)
    boxes[:, 0] = labels.shape[0]
    boxes[:, 1] = -1
    boxes[:, 2] = labels.shape[1]
    boxes[:, 3] = -1
    for y in range(labels.shape[0]):
        for x in range(labels.shape[1]):
            k = labels[y, x] - 1
            if k >= 0:
                sums[k, 0] += 1.0
                sums[k, 1] += y
                sums[k, 2] += x
                sums[k, 3] += y * y
                sums[k, 4] += x * x
                sums[k, 5] += x * y
                boxes[k, 0] = min(boxes[k, 0], y)
                boxes[k, 1] = max(boxes[k, 1], y)
                boxes[k, 2] = min(boxes[k, 2], x)
                boxes[k, 3] = max(boxes[k, 3], x)
    return sums, boxes


@numba.njit(cache=True, nogil=True)
def _crofton(labels: NDArray[np.int32], count: int) -> Vector:
    """Perimeters by counting crossings along rows, columns and both diagonals of a padded label image."""
    straight = np.zeros(count)
    diagonal = np.zeros(count)
    rows, columns = labels.shape
    for y in range(rows - 1):
        for x in range(columns - 1):
            a, b, c, d = labels[y, x], labels[y, x + 1], labels[y + 1, x], labels[y + 1, x + 1]
            if a == b and a == c and a == d:
                continue
            _cross(straight, a, b)
            _cross(straight, a, c)
            _cross(diagonal, a, d)
            _cross(diagonal, b, c)
    # pi / 2 times the mean over four directions of crossings times line spacing: 1 along axes, 1/sqrt(2) across
    perimeter: Vector = np.pi / 8.0 * (straight + diagonal / np.sqrt(2.0))
    return perimeter


@numba.njit(cache=True, nogil=True)
def _cross(crossings: Vector, a: int, b: int) -> None:
    if a != b:
        if a > 0:
            crossings[a - 1] += 1.0
        if b > 0:
            crossings[b - 1] += 1.0


@numba.njit(cache=True, nogil=True)
def _chain(labels: NDArray[np.int32], count: int, weights: Vector) -> Vector:
    """Perimeters of a padded label image by weighted outline pixels; outlines are 4-connected to what is outside."""
    rows, columns = labels.shape
    outline = np.zeros((rows, columns), np.bool_)
    for y in range(1, rows - 1):
        for x in range(1, columns - 1):
            k = labels[y, x]
            beside = labels[y - 1, x] == k and labels[y + 1, x] == k and labels[y, x - 1] == k and labels[y, x + 1] == k
            outline[y, x] = k > 0 and not beside
    perimeter = np.zeros(count)
    for y in range(1, rows - 1):
        for x in range(1, columns - 1):
            if outline[y, x]:
                k = labels[y, x]
                code = 0
                for dy in range(-1, 2):
                    for dx in range(-1, 2):
                        if outline[y + dy, x + dx] and labels[y + dy, x + dx] == k:
                            code += (1, 2, 10)[dy * dy + dx * dx]
                perimeter[k - 1] += weights[code]
    return perimeter


@numba.njit(cache=True, nogil=True)
def _hulls(labels: NDArray[np.int32], count: int, boxes: NDArray[np.int64]) -> Vector:
    """Largest and smallest Feret diameter and hull area (N, 3), from the ends of every row of an instance."""
    result = np.zeros((count, 3))
    for k in range(count):
        y0, y1, x0, x1 = boxes[k]
        points = np.empty((4 * (y1 - y0 + 1), 2))
        used = 0
        for y in range(y0, y1 + 1):
            first, last = -1, -1
            for x in range(x0, x1 + 1):
                if labels[y, x] == k + 1:
                    if first < 0:
                        first = x
                    last = x
            if first >= 0:
                for corner in range(2):
                    points[used, 0] = first
                    points[used + 1, 0] = last + 1
                    points[used : used + 2, 1] = y + corner
                    used += 2
        hull = _convex_hull(points[:used])
        result[k, 0], result[k, 1], result[k, 2] = _calipers(hull)
    return result


@numba.njit(cache=True, nogil=True)
def _turn(o: Vector, a: Vector, b: Vector) -> float:
    return float((a[0] - o[0]) * (b[1] - o[1]) - (a[1] - o[1]) * (b[0] - o[0]))


@numba.njit(cache=True, nogil=True)
def _convex_hull(points: Vector) -> Vector:
    """Andrew's monotone chain (1979), counter-clockwise."""
    order = np.argsort(points[:, 0] * 1e6 + points[:, 1])
    hull = np.empty((2 * points.shape[0] + 1, 2))
    size = 0
    for i in order:
        while size >= 2 and _turn(hull[size - 2], hull[size - 1], points[i]) <= 0:
            size -= 1
        hull[size] = points[i]
        size += 1
    lower = size + 1
    for i in order[::-1][1:]:
        while size >= lower and _turn(hull[size - 2], hull[size - 1], points[i]) <= 0:
            size -= 1
        hull[size] = points[i]
        size += 1
    return hull[: size - 1]


@numba.njit(cache=True, nogil=True)
def _calipers(hull: Vector) -> tuple[float, float, float]:
    """Return largest and smallest Feret diameter and area of a convex polygon."""
    count = hull.shape[0]
    largest, smallest, doubled = 0.0, np.inf, 0.0
    for i in range(count):
        j = (i + 1) % count
        dx, dy = hull[j, 0] - hull[i, 0], hull[j, 1] - hull[i, 1]
        length = np.sqrt(dx * dx + dy * dy)
        doubled += hull[i, 0] * hull[j, 1] - hull[j, 0] * hull[i, 1]
        width = 0.0
        for k in range(count):
            ex, ey = hull[k, 0] - hull[i, 0], hull[k, 1] - hull[i, 1]
            largest = max(largest, ex * ex + ey * ey)
            if length > 0.0:
                width = max(width, abs(dx * ey - dy * ex) / length)
        if length > 0.0:
            smallest = min(smallest, width)
    return np.sqrt(largest), smallest, abs(doubled) / 2.0
