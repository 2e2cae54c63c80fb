"""Bright grains by their size: what openings with squares of growing side take away."""

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from monitor.features.label_runs import Vector

SIDES_UM = (2.0, 4.0, 8.0)
"""Sides of the squares."""


def measure_granularity(
    relative: NDArray[np.float32], labels: NDArray[np.int32], pixel_size_um: float
) -> tuple[Vector, ...]:
    """Return for each of `SIDES_UM` the share of a cell's intensity in bright grains of up to that size, (N,) >= 0.

    It is the mean over the cell of what an opening with a square of that side takes away beyond the opening before it
    (the pattern spectrum of Maragos 1989), of the intensity over the local background: 0.01 is 1 % of the background.
    Sides are the nearest odd numbers of pixels; one of a single pixel takes nothing away. Openings look at the
    whole frame, so that the outermost pixels of a cell see what lies beside it. NaN where no background is known.

    Parameters
    ----------
    relative
        (Y, X) float32, intensity over the local background; NaN where that is unknown.
    labels
        (Y, X) int32, ids from 1 without gaps.
    """
    count = int(labels.max(initial=0))
    unknown = np.isnan(relative)
    before = np.where(unknown, np.float32(1.0), relative)
    whole = np.bincount(labels.ravel(), minlength=count + 1)[1:]
    blind = np.bincount(labels.ravel(), unknown.ravel(), count + 1)[1:] > 0
    spectrum = []
    for side_um in SIDES_UM:
        side = odd_side(side_um / pixel_size_um)
        after = ndimage.grey_opening(before, side) if side > 1 else before
        after = np.minimum(after, before)
        taken = np.bincount(labels.ravel(), (before - after).ravel(), count + 1)[1:] / np.maximum(whole, 1)
        spectrum.append(np.where(blind, np.nan, taken))
        before = after
    return tuple(spectrum)


def odd_side(side_px: float) -> int:
    """Return the odd number nearest to `side_px`, at least 1.

    >>> [odd_side(side) for side in (0.4, 2.1, 3.9, 6.0)]
    [1, 3, 3, 7]
    """
    return 2 * max(0, round((side_px - 1.0) / 2.0 + 1e-9)) + 1
