"""Intensity of every instance relative to the background around it."""

import numba
import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from monitor.features.shape import Vector

BLOCK_UM = 7.0
"""Side of the blocks in which background pixels are averaged first."""
WINDOW_UM = 112.0
"""Side of the window around a block whose background counts as local; that of `frames.normalize`."""
LEAST_SHARE = 0.02
"""Share of a window that must be free of cells, lest its background be taken from the whole frame."""


def measure_intensity(
    pixels: NDArray[np.generic], cells: NDArray[np.int32], pixel_size_um: float
) -> tuple[Vector, Vector]:
    """Return contrast and texture of the cells 1..N, both (N,) float64 in units of the local background.

    Local background is the mean of the pixels outside all cells in the window around. Both are NaN where it is not
    positive, as in frames that were centred on zero, and in a frame without a pixel outside of cells.
    """
    count = int(cells.max(initial=0))
    side = max(1, round(BLOCK_UM / pixel_size_um))
    raw = pixels.astype(np.float32)
    light = local_background(raw, cells, side, max(3, round(WINDOW_UM / BLOCK_UM)))
    sums = _sums(raw, cells, count, light, side)
    with np.errstate(invalid="ignore"):
        mean = sums[:, 1] / sums[:, 0]
        spread = np.sqrt(np.maximum(sums[:, 2] / sums[:, 0] - mean**2, 0.0))
    return mean, spread


def local_background(raw: NDArray[np.float32], cells: NDArray[np.int32], side: int, window: int) -> Vector:
    """Return the background of (rows, columns) blocks of `side` pixels, NaN where it is unknown or not positive.

    Parameters
    ----------
    raw, cells
        (Y, X) pixels and labels.
    window
        Blocks on a side over which is averaged.
    """
    totals, free = _blocks(raw, cells, side)
    everywhere = totals.sum() / free.sum() if free.any() else np.nan
    share = ndimage.uniform_filter(free, window, mode="constant") / side**2
    light = ndimage.uniform_filter(totals, window, mode="constant") / side**2
    local = np.where(share >= LEAST_SHARE, light / np.maximum(share, LEAST_SHARE), everywhere)
    positive: Vector = np.where(local > 0.0, local, np.nan)
    return positive


@numba.njit(cache=True, nogil=True)
def _blocks(raw: NDArray[np.float32], cells: NDArray[np.int32], side: int) -> tuple[Vector, Vector]:
    """Sum and number of the pixels outside cells in each block."""
    shape = ((raw.shape[0] + side - 1) // side, (raw.shape[1] + side - 1) // side)
    totals, free = np.zeros(shape), np.zeros(shape)
    for y in range(raw.shape[0]):
        for x in range(raw.shape[1]):
            if cells[y, x] == 0:
                totals[y // side, x // side] += raw[y, x]
                free[y // side, x // side] += 1.0
    return totals, free


@numba.njit(cache=True, nogil=True)
def _sums(raw: NDArray[np.float32], cells: NDArray[np.int32], count: int, light: Vector, side: int) -> Vector:
    """Pixels, sum and sum of squares of intensity over background minus one, (N, 3)."""
    sums = np.zeros((count, 3))
    for y in range(raw.shape[0]):
        for x in range(raw.shape[1]):
            k = cells[y, x] - 1
            if k >= 0:
                value = raw[y, x] / light[y // side, x // side] - 1.0
                sums[k, 0] += 1.0
                sums[k, 1] += value
                sums[k, 2] += value * value
    return sums
