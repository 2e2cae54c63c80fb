"""Lengths of outlines from the runs of a label image: where rows of an instance lie on one another, and where not."""

import numba
import numpy as np
from numpy.typing import NDArray

from monitor.features.label_runs import LabelRuns, Places, Vector

CHAIN_WEIGHTS = np.zeros(50)
"""Length that an outline pixel adds, by its neighbours in the outline: 2 for each beside it, 10 for each diagonal."""
CHAIN_WEIGHTS[[5, 7, 15, 17, 25, 27]] = 1.0
CHAIN_WEIGHTS[[21, 33]] = np.sqrt(2.0)
CHAIN_WEIGHTS[[13, 23]] = (1.0 + np.sqrt(2.0)) / 2.0


def crofton_perimeter(runs: LabelRuns, area: Vector) -> Vector:
    """Return (N,) perimeters in pixels by the Crofton formula in four directions, as in scikit-image.

    Along a row an instance is left and entered once a run; in the other directions every pixel is, twice, but for those
    whose neighbour is of the instance as well.
    """
    number = np.bincount(runs.instance, minlength=runs.count)
    shared = _shared(runs.instance, runs.start, runs.end, runs.begins, runs.count)
    straight = 2.0 * number + 2.0 * (area - shared[:, 1])
    diagonal = 2.0 * (area - shared[:, 0]) + 2.0 * (area - shared[:, 2])
    # pi / 2 times the mean over four directions of crossings times line spacing: 1 along axes, 1/sqrt(2) across
    perimeter: Vector = np.pi / 8.0 * (straight + diagonal / np.sqrt(2.0))
    return perimeter


@numba.njit(cache=True, nogil=True)
def _shared(instance: Places, start: Places, end: Places, begins: NDArray[np.int64], count: int) -> Vector:
    """Count the pixels of each instance whose neighbour below left, below and below right is of it too, (N, 3)."""
    shared = np.zeros((count, 3))
    for y in range(begins.size - 2):
        first = begins[y + 1]
        for run in range(begins[y], begins[y + 1]):
            while first < begins[y + 2] and end[first] < start[run]:
                first += 1
            below = first
            while below < begins[y + 2] and start[below] <= end[run]:
                if instance[below] == instance[run]:
                    for step in range(3):
                        left = max(start[run], start[below] + 1 - step)
                        right = min(end[run], end[below] + 1 - step)
                        shared[instance[run], step] += max(0, right - left)
                below += 1
    return shared


def chain_perimeter(runs: LabelRuns, labels: NDArray[np.int32]) -> Vector:
    """Return (N,) perimeters in pixels by weighted outline pixels (Benkrid & Crookes 2000), as in scikit-image.

    Outlines are 4-connected to what is outside; each instance is seen alone.
    """
    perimeter: Vector = _chain(
        np.ascontiguousarray(labels), runs.instance, runs.start, runs.end, runs.begins, runs.count, CHAIN_WEIGHTS
    )
    return perimeter


@numba.njit(cache=True, nogil=True)
def _chain(
    labels: NDArray[np.int32],
    instance: Places,
    start: Places,
    end: Places,
    begins: NDArray[np.int64],
    count: int,
    weights: Vector,
) -> Vector:
    """Mark the outline row by row; a row is measured once the one below it is marked, so three are kept."""
    rows, columns = labels.shape
    marked = np.zeros((3, columns + 2), np.int32)  # id where the outline is, one column further right
    places, used = np.empty((3, columns), np.int32), np.zeros(3, np.int64)
    perimeter = np.zeros(count)
    for y in range(rows + 1):
        new, middle, old = y % 3, (y + 2) % 3, (y + 1) % 3
        for index in range(used[new]):
            marked[new, places[new, index] + 1] = 0
        used[new] = 0
        if y < rows:
            used[new] = _mark(labels, y, instance, start, end, begins, marked[new], places[new])
        _measure(marked[old], marked[middle], marked[new], places[middle, : used[middle]], weights, perimeter)
    return perimeter


@numba.njit(cache=True, nogil=True)
def _measure(above: Places, middle: Places, below: Places, places: Places, weights: Vector, perimeter: Vector) -> None:
    """Add what the outline pixels of a row are worth by their neighbours in the same outline; without branches."""
    for index in range(places.size):
        left = np.uint64(places[index])
        at, right = left + np.uint64(1), left + np.uint64(2)
        k = middle[at]
        beside = (middle[left] == k) + (middle[right] == k) + (above[at] == k) + (below[at] == k)
        across = (above[left] == k) + (above[right] == k) + (below[left] == k) + (below[right] == k)
        perimeter[np.uint64(k - 1)] += weights[np.uint64(1 + 2 * beside + 10 * across)]


@numba.njit(cache=True, nogil=True)
def _mark(
    labels: NDArray[np.int32],
    y: int,
    instance: Places,
    start: Places,
    end: Places,
    begins: NDArray[np.int64],
    marked: Places,
    places: Places,
) -> int:
    """Mark the outline pixels of a row and write down where they are; return how many there are.

    What lies between a run of the same instance above and one below is inside, and is passed over at once.
    """
    edge = y == 0 or y == labels.shape[0] - 1
    used = 0
    above, below = begins[max(y - 1, 0)], begins[min(y + 1, labels.shape[0] - 1)]
    for run in range(begins[y], begins[y + 1]):
        k, first, last = instance[run], start[run], end[run]
        inner, outer = last, last  # from and to which column all is inside
        if not edge:
            above, left, right = _longest(above, begins[y], k, first, last, instance, start, end)
            below, low, high = _longest(below, begins[y + 2], k, first, last, instance, start, end)
            inner, outer = max(first + 1, max(left, low)), min(last - 1, min(right, high))
        x = first
        while x < last:
            if x == inner and outer > inner:
                x = outer
                continue
            beside = edge or x == first or x == last - 1
            if beside or labels[y - 1, x] != k + 1 or labels[y + 1, x] != k + 1:
                marked[x + 1] = k + 1
                places[used] = x
                used += 1
            x += 1
    return used


@numba.njit(cache=True, nogil=True)
def _longest(
    run: int, last: int, k: int, first: int, end_at: int, instance: Places, start: Places, end: Places
) -> tuple[int, int, int]:
    """Return the first run of another row that is not before a run, and the columns of its longest of instance k."""
    while run < last and end[run] <= first:
        run += 1
    left, right = end_at, end_at
    near = run
    while near < last and start[near] < end_at:
        if instance[near] == k and end[near] - start[near] > right - left:
            left, right = start[near], end[near]
        near += 1
    return run, left, right
