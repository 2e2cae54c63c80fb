"""A Gaussian that is computed only where it is needed: most of a frame is background."""

from functools import partial

import numba
import numpy as np
from numpy.typing import NDArray

from monitor.parallel import bands, in_parallel

TRUNCATE = 4.0
"""Radius in standard deviations, as in scipy.ndimage."""
_BLOCK = 32


def gaussian_where(values: NDArray[np.float32], sigma_px: float, where: NDArray[np.bool_]) -> NDArray[np.float32]:
    """Smooth a (Y, X) float32 map as `scipy.ndimage.gaussian_filter` does, to float32 precision.

    Only pixels in `where` are promised; others hold whatever was there. The border is mirrored. Rows wherever a wanted
    pixel will look are smoothed first, then columns, in bands of rows on several threads.
    """
    if sigma_px <= 0.0:
        return values.copy()
    radius = int(TRUNCATE * sigma_px + 0.5)
    weights = np.exp(-0.5 * (np.arange(radius + 1) / sigma_px) ** 2)
    weights /= weights[0] + 2.0 * weights[1:].sum()
    weights = np.pad(weights, (0, -radius % 4))
    values, weights = np.ascontiguousarray(values, np.float32), weights.astype(np.float32)
    wanted = _occupied(where.view(np.uint8))
    along, smooth = np.empty_like(values), np.empty_like(values)
    parts = bands(values.shape)
    in_parallel([partial(_along, values, weights, wanted, *band, along) for band in parts])
    in_parallel([partial(_down, along, weights, wanted, *band, smooth) for band in parts])
    return smooth


@numba.njit(cache=True, nogil=True)
def _mirrored(index: int, length: int) -> int:
    while index < 0 or index >= length:
        index = -index - 1 if index < 0 else 2 * length - index - 1
    return index


@numba.njit(cache=True, nogil=True)
def _occupied(where: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """Return which blocks of each row hold a pixel that is wanted."""
    rows, columns = where.shape
    blocks = (columns + _BLOCK - 1) // _BLOCK
    occupied = np.zeros((rows, blocks), np.bool_)
    for row in range(rows):
        for block in range(blocks):
            part = where[row, block * _BLOCK : min((block + 1) * _BLOCK, columns)]
            some = np.uint8(0)
            for column in range(part.size):
                some |= part[column]
            occupied[row, block] = some != 0
    return occupied


@numba.njit(cache=True, nogil=True)
def _run(occupied: NDArray[np.integer], block: int, columns: int) -> tuple[int, int]:
    """Return the pixels of the next run of occupied blocks from `block` on; an empty one when there is none."""
    while block < occupied.size and not occupied[block]:
        block += 1
    first = block
    while block < occupied.size and occupied[block]:
        block += 1
    return min(first * _BLOCK, columns), min(block * _BLOCK, columns)


@numba.njit(cache=True, nogil=True)
def _weighted(
    part: NDArray[np.float32], source: NDArray[np.float32], at: NDArray[np.uint64], weights: NDArray[np.float32]
) -> None:
    """Write into `part` the weighted sum of the stretches of `source` that begin at `at`, in fours.

    `at` holds the middle, then the two on either side of it, and so on; four pairs in one sweep keep the sum in
    registers.
    """
    middle, weight = at[0], weights[0]
    for column in range(np.uint64(part.size)):
        part[column] = weight * source[middle + column]
    for step in range(1, weights.size, 4):
        a, b, c, d = at[2 * step - 1], at[2 * step], at[2 * step + 1], at[2 * step + 2]
        e, f, g, h = at[2 * step + 3], at[2 * step + 4], at[2 * step + 5], at[2 * step + 6]
        one, two, three, four = weights[step], weights[step + 1], weights[step + 2], weights[step + 3]
        for column in range(np.uint64(part.size)):
            part[column] += (
                one * (source[a + column] + source[b + column])
                + two * (source[c + column] + source[d + column])
                + three * (source[e + column] + source[f + column])
                + four * (source[g + column] + source[h + column])
            )


@numba.njit(cache=True, nogil=True)
def _along(
    values: NDArray[np.float32],
    weights: NDArray[np.float32],
    wanted: NDArray[np.bool_],
    first: int,
    last: int,
    along: NDArray[np.float32],
) -> None:
    """Smooth the rows of a band wherever a wanted pixel will look; `weights` begin in the middle."""
    radius = weights.size - 1
    rows, columns = values.shape
    needed = np.zeros(wanted.shape[1], np.int32)
    for row in range(max(0, first - radius - 1), min(first + radius, rows)):
        needed += wanted[row]
    line = np.empty(columns + 2 * radius, np.float32)
    at = np.empty(2 * radius + 1, np.uint64)
    for row in range(first, last):
        _move(needed, wanted, row, radius)
        left, right = _run(needed, 0, columns)
        if left < right:
            _widen(line, values[row], radius)
        while left < right:
            at[0] = left + radius
            for step in range(1, radius + 1):
                at[2 * step - 1], at[2 * step] = left + radius - step, left + radius + step
            _weighted(along[row, left:right], line, at, weights)
            left, right = _run(needed, (right + _BLOCK - 1) // _BLOCK, columns)


@numba.njit(cache=True, nogil=True)
def _move(needed: NDArray[np.int32], wanted: NDArray[np.bool_], row: int, radius: int) -> None:
    """Count the wanted blocks in the rows around the next row; in loops, an expression would make arrays each time."""
    for block in range(needed.size):
        if row + radius < wanted.shape[0]:
            needed[block] += wanted[row + radius, block]
        if row > radius:
            needed[block] -= wanted[row - radius - 1, block]


@numba.njit(cache=True, nogil=True)
def _widen(line: NDArray[np.float32], values: NDArray[np.float32], radius: int) -> None:
    """Write a row with its mirrored ends."""
    columns = values.size
    line[radius : radius + columns] = values
    for beyond in range(1, radius + 1):
        line[radius - beyond] = values[_mirrored(-beyond, columns)]
        line[radius + columns + beyond - 1] = values[_mirrored(columns + beyond - 1, columns)]


@numba.njit(cache=True, nogil=True)
def _down(
    along: NDArray[np.float32],
    weights: NDArray[np.float32],
    wanted: NDArray[np.bool_],
    first: int,
    last: int,
    smooth: NDArray[np.float32],
) -> None:
    """Smooth the columns of a band where pixels are wanted."""
    radius = weights.size - 1
    rows, columns = along.shape
    flat = along.ravel()
    at = np.empty(2 * radius + 1, np.uint64)
    for row in range(first, last):
        left, right = _run(wanted[row], 0, columns)
        while left < right:
            at[0] = row * columns + left
            for step in range(1, radius + 1):
                at[2 * step - 1] = _mirrored(row - step, rows) * columns + left
                at[2 * step] = _mirrored(row + step, rows) * columns + left
            _weighted(smooth[row, left:right], flat, at, weights)
            left, right = _run(wanted[row], (right + _BLOCK - 1) // _BLOCK, columns)
