"""Which basins are one instance: the rules of `flood`, on the few places where basins meet."""

import numba
import numpy as np
from numpy.typing import NDArray

from monitor.segmentation.runs import root

STEP = 64
"""Areas are known at every so many levels, and evenly spread between."""


def joined(
    one: NDArray[np.int64],
    other: NDArray[np.int64],
    meeting: NDArray[np.int64],
    *,
    peak: NDArray[np.int64],
    histogram: NDArray[np.int64],
    persistence: NDArray[np.int64],
    bump_px: float,
) -> NDArray[np.int32]:
    """Return for every basin the basin whose peak is that of its instance, (N,) int32.

    Parameters
    ----------
    one, other, meeting
        (M,) pairs of basins and the highest level at which they touch.
    peak, histogram, persistence
        (N,) level of the peak, (N, L / STEP) pixels by level, (N,) persistence in levels, of each basin. See `flood`.
    """
    order = np.lexsort((other, one, -meeting))
    parent: NDArray[np.int32] = _joined(
        one[order], other[order], meeting[order], peak, histogram.copy(), persistence, float(bump_px)
    )
    return parent


def names_of(first: NDArray[np.int64], frame: NDArray[np.int64], kept: NDArray[np.bool_]) -> NDArray[np.int32]:
    """Name what is kept in each frame from 1 in the order of its first pixel, 0 for the rest; all (N,).

    First pixels are counted over all frames, so that those of a frame come before those of the next.
    """
    order = np.flatnonzero(kept)
    order = order[np.argsort(first[order])]
    before = np.searchsorted(frame[order], frame[order])
    names = np.zeros(first.size, np.int32)
    names[order] = np.arange(order.size) - before + 1
    return names


@numba.njit(cache=True, nogil=True)
def _joined(
    one: NDArray[np.int64],
    other: NDArray[np.int64],
    meeting: NDArray[np.int64],
    peak: NDArray[np.int64],
    histogram: NDArray[np.int64],
    persistence: NDArray[np.int64],
    bump_px: float,
) -> NDArray[np.int32]:
    """Join basins in falling order of their meetings; return the root of each."""
    parent = np.arange(peak.size).astype(np.int32)
    for index in range(one.size):
        a, b = root(parent, one[index]), root(parent, other[index])
        if a == b:
            continue
        lower, higher = (a, b) if peak[a] <= peak[b] else (b, a)
        level = meeting[index]
        if peak[lower] - level < persistence[lower] or _above(histogram[lower], level) < bump_px:
            parent[lower] = higher
            histogram[higher] += histogram[lower]
    for node in range(peak.size):
        parent[node] = root(parent, node)
    return parent


@numba.njit(cache=True, nogil=True)
def _above(pixels: NDArray[np.int64], level: int) -> float:
    """Return how many pixels lie above a level."""
    step = level // STEP
    share = ((step + 1) * STEP - 1 - level) / STEP
    return float(pixels[step + 1 :].sum() + share * pixels[step])
