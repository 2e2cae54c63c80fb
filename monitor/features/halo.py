"""The bright ring that phase contrast draws around a cell: thick and rounded cells have a strong one."""

import numba
import numpy as np
from numpy.typing import NDArray

from monitor.features.label_runs import Vector
from monitor.features.nearest import nearest_cells

HALO_UM = 4.0
"""Width of the ring, from the outline of the cell outwards."""


def measure_halo(
    relative: NDArray[np.float32], labels: NDArray[np.int32], pixel_size_um: float
) -> tuple[Vector, Vector]:
    """Return halo ratio and halo contrast of the instances 1..N, both (N,) float64.

    The ring of a cell is the ground within `HALO_UM` of it that is nearer to it than to any other cell. The ratio is
    the mean intensity of the ring over that of the inside; the contrast is the mean of the ring over the local
    background, minus one. NaN where a cell has no ground around it, or no background is known.

    Parameters
    ----------
    relative
        (Y, X) float32, intensity over the local background; NaN where that is unknown.
    labels
        (Y, X) int32, ids from 1 without gaps.
    """
    reach = max(1.0, HALO_UM / pixel_size_um)
    sums = _sums(relative, labels, nearest_cells(labels, reach), int(labels.max(initial=0)))
    with np.errstate(invalid="ignore", divide="ignore"):
        ring, inside = sums[:, 1] / sums[:, 0], sums[:, 3] / sums[:, 2]
        return ring / inside, ring - 1.0


@numba.njit(cache=True, nogil=True)
def _sums(relative: NDArray[np.float32], labels: NDArray[np.int32], grown: NDArray[np.int32], count: int) -> Vector:
    """Return pixels and sum of the ring, pixels and sum of the inside, (N, 4)."""
    sums = np.zeros((count, 4))
    for y in range(labels.shape[0]):
        for x in range(labels.shape[1]):
            k = grown[y, x]
            if k > 0:
                column = 0 if labels[y, x] == 0 else 2
                sums[k - 1, column] += 1.0
                sums[k - 1, column + 1] += relative[y, x]
    return sums
