"""Intensity of every instance relative to the background around the cells."""

import numpy as np
from numpy.typing import NDArray

from monitor.features.shape import Vector


def measure_intensity(pixels: NDArray[np.generic], cells: NDArray[np.int32]) -> tuple[Vector, Vector]:
    """Return contrast and texture of the cells 1..N, both (N,) float64 in units of the background.

    Background is the median of the pixels outside all cells (of all pixels where cells cover more than 98 %).
    Both are NaN where the background is not positive, as in frames that were centred on zero.
    """
    count = int(cells.max(initial=0))
    raw = pixels.astype(np.float64).ravel()
    flat = cells.ravel()
    outside = raw[flat == 0]
    background = float(np.median(outside if outside.size > 0.02 * raw.size else raw))
    if background <= 0.0 or count == 0:
        return np.full(count, np.nan), np.full(count, np.nan)
    size = np.bincount(flat, minlength=count + 1)[1:]
    mean = np.bincount(flat, raw, count + 1)[1:] / size
    square = np.bincount(flat, (raw - background) ** 2, count + 1)[1:] / size
    spread = np.sqrt(np.maximum(square - (mean - background) ** 2, 0.0))
    return (mean - background) / background, spread / background
