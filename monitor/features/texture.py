"""Haralick's texture of every instance: how often which two intensities lie side by side."""

import numba
import numpy as np
from numpy.typing import NDArray

from monitor.features.label_runs import LabelRuns, Places, Vector

LEVELS = 32
LOWEST, HIGHEST = 0.6, 1.4
"""Intensity over the local background that the levels divide evenly; what is beyond belongs to the outermost level. The
limits are fixed, so that a level means the same in every cell and frame."""
DISTANCE_UM = 2.0
"""Distance of the two pixels, at least one pixel; on diagonals each coordinate is rounded to whole pixels."""


def quantise(relative: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Return the (Y, X) uint8 levels 0..31 of the (Y, X) intensity over the local background; NaN becomes 255."""
    scaled = (relative - np.float32(LOWEST)) * np.float32(LEVELS / (HIGHEST - LOWEST))
    known = np.clip(np.nan_to_num(scaled, nan=0.0), 0, LEVELS - 1).astype(np.uint8)
    levels: NDArray[np.uint8] = np.where(np.isnan(relative), np.uint8(255), known)
    return levels


def offsets(pixel_size_um: float) -> NDArray[np.int64]:
    """Return the steps in rows and columns of the four directions, (4, 2), as `graycomatrix` of scikit-image."""
    distance = max(1, round(DISTANCE_UM / pixel_size_um))
    across = round(distance * np.sqrt(0.5))
    return np.array([[0, distance], [across, across], [distance, 0], [across, -across]])


def measure_texture(
    levels: NDArray[np.uint8], labels: NDArray[np.int32], runs: LabelRuns, pixel_size_um: float
) -> Vector:
    """Return contrast, correlation, entropy and variance of the instances of `runs`, (N, 4) float64.

    Each is the mean over four directions of the property of the symmetric, normalised co-occurrence matrix of pairs of
    pixels that both lie in the instance (Haralick, Shanmugam & Dinstein 1973), defined as in scikit-image: contrast and
    variance in squared levels, entropy in nats. Directions without a pair are left out. NaN where no direction has one
    or the background is unknown; a correlation is NaN where all pairs are of one level.

    Parameters
    ----------
    levels
        (Y, X) uint8 as of `quantise`.
    labels
        (Y, X) int32, ids from 1 without gaps.
    """
    found: Vector = _texture(
        levels,
        np.ascontiguousarray(labels),
        runs.instance,
        runs.start,
        runs.end,
        runs.begins,
        runs.count,
        offsets(pixel_size_um),
        LEVELS,
    )
    return found


@numba.njit(cache=True, nogil=True)
def _texture(
    levels: NDArray[np.uint8],
    labels: NDArray[np.int32],
    instance: Places,
    start: Places,
    end: Places,
    begins: NDArray[np.int64],
    count: int,
    steps: NDArray[np.int64],
    size: int,
) -> Vector:
    sums, directions = np.zeros((count, 4)), np.zeros(count)
    blind = np.zeros(count, np.uint8)
    for direction in range(steps.shape[0]):
        pairs = np.zeros((count, size, size), np.uint32)
        _count_pairs(levels, labels, instance, start, end, begins, steps[direction], pairs, blind)
        for k in range(count):
            if _add_properties(pairs[k], sums[k]):
                directions[k] += 1.0
    found = np.full((count, 4), np.nan)
    for k in range(count):
        if directions[k] > 0.0 and blind[k] == 0:
            found[k] = sums[k] / directions[k]
    return found


@numba.njit(cache=True, nogil=True)
def _count_pairs(
    levels: NDArray[np.uint8],
    labels: NDArray[np.int32],
    instance: Places,
    start: Places,
    end: Places,
    begins: NDArray[np.int64],
    step: NDArray[np.int64],
    pairs: NDArray[np.uint32],
    blind: NDArray[np.uint8],
) -> None:
    """Count the pairs of one direction into (N, L, L), and mark the instances that have a pixel of no level."""
    size = pairs.shape[1]
    for y in range(labels.shape[0]):
        below = y + step[0]
        for run in range(begins[y], begins[y + 1]):
            k = instance[run]
            for x in range(start[run], end[run]):
                level, beside = levels[y, x], x + step[1]
                if level >= size:
                    blind[k] = 1
                elif below < labels.shape[0] and 0 <= beside < labels.shape[1] and labels[below, beside] == k + 1:
                    other = levels[below, beside]
                    if other < size:
                        pairs[k, level, other] += 1


@numba.njit(cache=True, nogil=True)
def _add_properties(pairs: NDArray[np.uint32], sums: Vector) -> bool:
    """Add the properties of one direction; return whether there was a pair. The matrix is made symmetric on the way."""
    size = pairs.shape[0]
    total = mean = 0.0
    for i in range(size):
        for j in range(size):
            if pairs[i, j]:
                total += 2.0 * pairs[i, j]
                mean += float(pairs[i, j]) * (i + j)
    if total == 0.0:
        return False
    mean /= total
    contrast = covariance = variance = entropy = 0.0
    for i in range(size):
        for j in range(i + 1):
            number = float(pairs[i, j]) + float(pairs[j, i])
            if number == 0.0:
                continue
            # off the diagonal the symmetric matrix has this number twice, on it doubled and once
            share, times = (number / total, 1.0) if i == j else (number / total, 2.0)
            contrast += times * share * (i - j) ** 2
            covariance += times * share * (i - mean) * (j - mean)
            variance += share * times * ((i - mean) ** 2 + (j - mean) ** 2) / 2.0
            entropy -= times * share * np.log(share)
    sums[0] += contrast
    sums[1] += covariance / variance if variance > 0.0 else np.nan
    sums[2] += entropy
    sums[3] += variance
    return True
