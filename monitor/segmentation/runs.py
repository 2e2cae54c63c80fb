"""A mask as runs of pixels, and which runs hang together: faster than looking at pixels one by one."""

import numba
import numpy as np
from numpy.typing import NDArray

Runs = tuple[NDArray[np.int32], NDArray[np.int32], NDArray[np.int32], NDArray[np.int64]]


@numba.njit(cache=True, nogil=True)
def root(parent: NDArray[np.int32], node: int) -> int:
    """Return the root of a node of a forest, and shorten the way to it (Tarjan 1975)."""
    while parent[node] != node:
        parent[node] = parent[parent[node]]
        node = parent[node]
    return node


@numba.njit(cache=True, nogil=True)
def runs_of(mask: NDArray[np.bool_], corner: int) -> Runs:
    """Return first and last-plus-one column of every run in row order, its part, and (Y + 1,) where each row begins.

    A part is named by its first run. `corner` 1 joins runs that touch over a corner, 0 only those that share an edge.
    """
    rows, columns = mask.shape
    most = rows * (columns // 2 + 1)
    start, end, part = np.empty(most, np.int32), np.empty(most, np.int32), np.empty(most, np.int32)
    begins = np.empty(rows + 1, np.int64)
    count = above = 0
    for row in range(rows):
        begins[row] = count
        previous, above = above, count
        column = 0
        while column < columns:
            if not mask[row, column]:
                column += 1
                continue
            first = column
            while column < columns and mask[row, column]:
                column += 1
            start[count], end[count], part[count] = first, column, count
            while previous < above and end[previous] + corner <= first:
                previous += 1
            _unite(start, part, previous, above, count, column + corner)
            count += 1
    begins[rows] = count
    for run in range(count):
        part[run] = root(part, run)
    return start[:count], end[:count], part[:count], begins


@numba.njit(cache=True, nogil=True)
def _unite(start: NDArray[np.int32], part: NDArray[np.int32], run: int, last: int, new: int, before: int) -> None:
    """Join a run with those of the row above that begin before it ends."""
    while run < last and start[run] < before:
        one, other = root(part, run), root(part, new)
        part[max(one, other)] = min(one, other)
        run += 1
