"""A label image as runs of equal pixels along its rows: what every measurement looks at, instead of at pixels."""

from dataclasses import dataclass

import numba
import numpy as np
from numpy.typing import NDArray

Vector = NDArray[np.float64]
Places = NDArray[np.int32]


@dataclass(frozen=True, slots=True)
class LabelRuns:
    """Runs of a (Y, X) label image with ids 1..`count`, in row order; background has none.

    instance: (R,) int32, id minus one; start, end: (R,) int32, first column and last plus one; begins: (Y + 1,) int64,
    the run with which each row begins; shape: (Y, X).
    """

    instance: Places
    start: Places
    end: Places
    begins: NDArray[np.int64]
    count: int
    shape: tuple[int, int]


def label_runs(labels: NDArray[np.int32]) -> LabelRuns:
    """Return the runs of a (Y, X) int32 label image."""
    rows, columns = labels.shape
    instance, start, end, begins = _runs(np.ascontiguousarray(labels))
    return LabelRuns(instance, start, end, begins, int(instance.max(initial=-1)) + 1, (rows, columns))


@numba.njit(cache=True, nogil=True)
def _runs(labels: NDArray[np.int32]) -> tuple[Places, Places, Places, NDArray[np.int64]]:
    rows, columns = labels.shape
    # memory that nothing writes to is never taken, so the most that can be costs nothing
    instance = np.empty(rows * columns + 1, np.int32)
    start, end = np.empty_like(instance), np.empty_like(instance)
    begins = np.empty(rows + 1, np.int64)
    change = np.zeros((columns + 8) // 8 * 8, np.uint8)
    words = change.view(np.uint64)
    places = np.zeros(change.size + 1, np.int32)
    count = 0
    for y in range(rows):
        begins[y] = count
        line = labels[y]
        for x in range(1, columns):
            change[x] = line[x] != line[x - 1]
        change[columns] = 1
        found = 1  # the first run begins at 0
        for word in range(words.size):
            if words[word] != 0:  # eight at a time: there are far fewer runs than pixels
                for x in range(8 * word, 8 * word + 8):  # written always, kept when it is one: no branch to guess
                    places[found] = x
                    found += change[x]
        for index in range(found - 1):
            label = line[places[index]]
            instance[count], start[count], end[count] = label - 1, places[index], places[index + 1]
            count += label != 0
    begins[rows] = count
    return instance[:count].copy(), start[:count].copy(), end[:count].copy(), begins


def sums_and_boxes(runs: LabelRuns) -> tuple[Vector, NDArray[np.int64]]:
    """Return pixels and moments (N, 6): 1, y, x, yy, xx, xy; and boxes (N, 4): first and last row and column."""
    sums: Vector
    boxes: NDArray[np.int64]
    sums, boxes = _sums_and_boxes(runs.instance, runs.start, runs.end, runs.begins, runs.count, runs.shape[1])
    return sums, boxes


@numba.njit(cache=True, nogil=True)
def _sums_and_boxes(
    instance: Places, start: Places, end: Places, begins: NDArray[np.int64], count: int, columns: int
) -> tuple[Vector, NDArray[np.int64]]:
    sums = np.zeros((count, 6))
    boxes = np.empty((count, 4), np.int64)
    boxes[:, 0], boxes[:, 1], boxes[:, 2], boxes[:, 3] = begins.size, -1, columns, -1
    for y in range(begins.size - 1):
        for run in range(begins[y], begins[y + 1]):
            k, first, last = instance[run], start[run], end[run] - 1
            pixels = float(end[run] - start[run])
            x = pixels * (first + last) / 2.0
            xx = float(_squares(last) - _squares(first - 1))
            sums[k, 0] += pixels
            sums[k, 1] += pixels * y
            sums[k, 2] += x
            sums[k, 3] += pixels * y * y
            sums[k, 4] += xx
            sums[k, 5] += x * y
            boxes[k, 0] = min(boxes[k, 0], y)
            boxes[k, 1] = y
            boxes[k, 2] = min(boxes[k, 2], first)
            boxes[k, 3] = max(boxes[k, 3], last)
    return sums, boxes


@numba.njit(cache=True, nogil=True)
def _squares(last: int) -> int:
    """Return the sum of the squares from 0 to `last`."""
    return last * (last + 1) * (2 * last + 1) // 6
