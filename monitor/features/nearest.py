"""The cell that the ground belongs to: for each pixel outside of cells the nearest of them, if it is near enough."""

import numba
import numpy as np
from numpy.typing import NDArray

from monitor.features.label_runs import Places


def nearest_cells(labels: NDArray[np.int32], reach_px: float) -> NDArray[np.int32]:
    """Return a (Y, X) int32 label image in which cells have grown by `reach_px` over the ground, never over each other.

    Distances are Euclidean, between the centres of pixels; a pixel as far from two cells goes to the one found first.
    """
    grown: NDArray[np.int32] = _nearest(np.ascontiguousarray(labels), reach_px)
    return grown


@numba.njit(cache=True, nogil=True)
def _nearest(labels: NDArray[np.int32], reach_px: float) -> NDArray[np.int32]:
    rows, columns = labels.shape
    reach = int(reach_px)
    far = reach + 1
    distance, owner = _upright(labels, far)
    grown = labels.copy()
    most = int(np.floor(reach_px * reach_px))
    for y in range(rows):
        for x in range(columns):
            if labels[y, x] != 0:
                continue
            least, chosen = most + 1, 0
            for column in range(max(0, x - reach), min(columns, x + reach + 1)):
                if distance[y, column] < far:
                    squared = (column - x) ** 2 + distance[y, column] ** 2
                    if squared < least:
                        least, chosen = squared, owner[y, column]
            grown[y, x] = chosen
    return grown


@numba.njit(cache=True, nogil=True)
def _upright(labels: NDArray[np.int32], far: int) -> tuple[Places, Places]:
    """Return how far the nearest cell is in the same column, `far` where none is near, and which it is."""
    rows, columns = labels.shape
    distance, owner = np.full((rows, columns), far, np.int32), labels.copy()
    for y in range(rows):
        for x in range(columns):
            if labels[y, x] != 0:
                distance[y, x] = 0
            elif y > 0 and distance[y - 1, x] + 1 < far:
                distance[y, x], owner[y, x] = distance[y - 1, x] + 1, owner[y - 1, x]
    for y in range(rows - 2, -1, -1):
        for x in range(columns):
            if distance[y + 1, x] + 1 < distance[y, x]:
                distance[y, x], owner[y, x] = distance[y + 1, x] + 1, owner[y + 1, x]
    return distance, owner
