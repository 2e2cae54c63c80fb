"""How sure the maps are of each cell, and which cells are left out for it."""

from functools import partial
from typing import Final

import numba
import numpy as np
from numpy.typing import NDArray

from monitor.network.checkpoint import CONFIDENCE_COLUMNS, CellConfidence
from monitor.parallel import bands, in_parallel

ONE: Final = 1024
"""Probabilities are summed in whole parts of this: their sums come out the same in any order, on any device."""
STEPS: Final = 256
"""Probabilities are looked up at so many steps in a unit of the logit: an exponential takes longer."""
_PARTS: Final = (ONE / (1.0 + np.exp(-(np.arange(40 * STEPS + 1) / STEPS - 20.0))) + 0.5).astype(np.int32)
AREA, FOREGROUND, OUTLINE, EDGE, BORDER = range(5)


def evidence(
    cells: NDArray[np.int32],
    cell: NDArray[np.float32],
    boundary: NDArray[np.float32],
    height: NDArray[np.float32],
) -> NDArray[np.float64]:
    """Return what the maps say of each cell, (N, 4) float64 in the order of `CONFIDENCE_COLUMNS`.

    Parameters
    ----------
    cells
        (Y, X) int32 labels from 1 without gaps.
    cell, boundary
        (Y, X) float32 logits.
    height
        (Y, X) float32 smoothed centre map; what it holds outside cells is never looked at.
    """
    count = int(cells.max(initial=0))
    found = in_parallel(
        [partial(_sums, cells, cell, boundary, height, count, *band, _PARTS) for band in bands(cells.shape)]
    )
    sums, peaks = np.sum([some for some, _ in found], axis=0), np.maximum.reduce([some for _, some in found])
    return columns_of(sums, peaks)


def columns_of(sums: NDArray[np.int64], peaks: NDArray[np.float32]) -> NDArray[np.float64]:
    """Return the columns of `evidence` from (N, 5) sums by cell (area, foreground, outline, edge, border) and peaks."""
    area, outline = np.maximum(sums[:, AREA], 1), np.maximum(sums[:, OUTLINE], 1)
    return np.stack(
        [
            peaks.astype(np.float64),
            sums[:, FOREGROUND] / (ONE * area),
            sums[:, EDGE] / (ONE * outline),
            sums[:, BORDER] / outline,
        ],
        axis=1,
    )


def believed(columns: NDArray[np.float64], settings: CellConfidence) -> NDArray[np.bool_]:
    """Return which cells are left in, (N,) bool."""
    weights = np.array([getattr(settings, name) for name in CONFIDENCE_COLUMNS])
    logit = settings.intercept + columns @ weights
    least = -np.inf if settings.least == 0.0 else np.log(settings.least / (1.0 - settings.least))
    kept: NDArray[np.bool_] = logit >= least
    return kept


def without_unsure(cells: NDArray[np.int32], kept: NDArray[np.bool_]) -> NDArray[np.int32]:
    """Return (Y, X) labels without those that are not kept; the array itself when all are."""
    if kept.all():
        return cells
    left, names = np.empty_like(cells), renamed(kept)
    in_parallel([partial(_look_up, cells[first:last], names, left[first:last]) for first, last in bands(cells.shape)])
    return left


def renamed(kept: NDArray[np.bool_]) -> NDArray[np.int32]:
    """Return the new label of each old one, 0 and N others: from 1 without gaps, 0 for what is left out."""
    names = np.zeros(kept.size + 1, np.int32)
    names[1:] = np.where(kept, np.cumsum(kept), 0)
    return names


@numba.njit(cache=True, nogil=True)
def _sums(
    cells: NDArray[np.int32],
    cell: NDArray[np.float32],
    boundary: NDArray[np.float32],
    height: NDArray[np.float32],
    count: int,
    first: int,
    last: int,
    parts: NDArray[np.int32],
) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    rows, columns = cells.shape
    sums, peaks = np.zeros((count, 5), np.int64), np.full(count, -np.inf, np.float32)
    for row in range(first, last):
        for column in range(columns):
            label = cells[row, column]
            if label == 0:
                continue
            mine = sums[label - 1]
            mine[AREA] += 1
            mine[FOREGROUND] += parts[_step(cell[row, column])]
            peaks[label - 1] = max(peaks[label - 1], height[row, column])
            up, down = cells[max(row - 1, 0), column], cells[min(row + 1, rows - 1), column]
            left, right = cells[row, max(column - 1, 0)], cells[row, min(column + 1, columns - 1)]
            if up != label or down != label or left != label or right != label:
                mine[OUTLINE] += 1
                mine[EDGE] += parts[_step(boundary[row, column])]
            mine[BORDER] += (row == 0) + (row == rows - 1) + (column == 0) + (column == columns - 1)
    return sums, peaks


@numba.njit(cache=True, nogil=True)
def _look_up(cells: NDArray[np.int32], names: NDArray[np.int32], left: NDArray[np.int32]) -> None:
    for row in range(cells.shape[0]):
        for column in range(cells.shape[1]):
            left[row, column] = names[cells[row, column]]


@numba.njit(cache=True, nogil=True)
def _step(logit: np.float32) -> int:
    """Return the place of a logit in `_PARTS`."""
    bounded = min(max(logit, np.float32(-20.0)), np.float32(20.0))
    return int((bounded + np.float32(20.0)) * np.float32(STEPS) + np.float32(0.5))
