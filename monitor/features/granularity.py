"""Bright grains by their size: what openings with squares of growing side take away."""

import numba
import numpy as np
from numpy.typing import NDArray

from monitor.features.label_runs import LabelRuns, Vector
from monitor.features.sums import sums_over

Plane = NDArray[np.float32]
SIDES_UM = (2.0, 4.0, 8.0)
"""Sides of the squares."""


def measure_granularity(relative: Plane, runs: LabelRuns, pixel_size_um: float) -> tuple[Vector, ...]:
    """Return for each of `SIDES_UM` the share of a cell's intensity in bright grains of up to that size, (N,) >= 0.

    It is the mean over the cell of what an opening with a square of that side takes away beyond the opening before it
    (the pattern spectrum of Maragos 1989), of the intensity over the local background: 0.01 is 1 % of the background.
    Sides are the nearest odd numbers of pixels; one of a single pixel takes nothing away. Openings look at the whole
    frame, so that the outermost pixels of a cell see what lies beside it. NaN where a cell's background is unknown.

    Parameters
    ----------
    relative
        (Y, X) float32, intensity over the local background; NaN where that is unknown.
    runs
        Of the label image of the cells.
    """
    pixels = sums_over(np.ones_like(relative), runs)[:, 0]
    unknown = np.isnan(sums_over(relative, runs)[:, 0])
    before = np.where(np.isnan(relative), np.float32(1.0), relative)
    spectrum = []
    for side_um in SIDES_UM:
        after = opened(before, odd_side(side_um / pixel_size_um))
        spectrum.append(np.where(unknown, np.nan, sums_over(before - after, runs)[:, 0] / pixels))
        before = after
    return tuple(spectrum)


def odd_side(side_px: float) -> int:
    """Return the odd number nearest to `side_px`, at least 1.

    >>> [odd_side(side) for side in (0.4, 2.1, 3.9, 6.0)]
    [1, 3, 3, 7]
    """
    return 2 * max(0, round((side_px - 1.0) / 2.0 + 1e-9)) + 1


def opened(plane: Plane, side: int) -> Plane:
    """Return the opening of a (Y, X) float32 plane with a square of odd side: never above the plane.

    Opened by a larger square, what was opened by a smaller one stays below it. At the border the square is cut.
    """
    if side == 1:
        return plane
    # the largest of negated values is the smallest of the values
    opening: Plane = _largest(-_largest(-plane, side // 2), side // 2)
    return opening


@numba.njit(cache=True, nogil=True)
def _largest(plane: Plane, reach: int) -> Plane:
    """Return the largest value in the square around each pixel: along columns, then along rows."""
    rows, columns = plane.shape
    found = np.empty_like(plane)
    line = np.empty(columns + 2 * reach, np.float32)
    for y in range(rows):
        line[:] = -np.inf
        middle = line[reach : reach + columns]
        for other in range(max(0, y - reach), min(rows, y + reach + 1)):
            row = plane[other]
            for x in range(columns):
                middle[x] = max(middle[x], row[x])
        target = found[y]
        target[:] = line[:columns]
        for step in range(1, 2 * reach + 1):
            for x in range(columns):
                target[x] = max(target[x], line[x + step])
    return found
