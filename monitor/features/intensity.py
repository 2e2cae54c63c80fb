"""Intensity of every instance relative to the background around it.

Pixels are looked at once: sums of whole blocks, and of the pieces that blocks cut runs of cells into. What is left of a
block is its background.
"""

import numba
import numpy as np
from numpy.typing import NDArray

from monitor.features.label_runs import LabelRuns, Places, Vector

BLOCK_UM = 7.0
"""Side of the blocks in which background pixels are averaged first."""
WINDOW_UM = 112.0
"""Side of the window around a block whose background counts as local; that of `frames.normalize`."""
LEAST_SHARE = 0.02
"""Share of a window that must be free of cells, lest its background be taken from the whole frame."""
_WHOLE_NUMBERS = (np.uint8, np.uint16)


def measure_intensity(pixels: NDArray[np.generic], runs: LabelRuns, pixel_size_um: float) -> tuple[Vector, Vector]:
    """Return contrast and texture of the cells of `runs`, both (N,) float64 in units of the local background.

    Local background is the mean of the pixels outside all cells in the window around. Both are NaN where it is not
    positive, as in frames that were centred on zero, and in a frame without a pixel outside of cells.
    """
    _, light, pieces = _lit(pixels, runs, pixel_size_um)
    sums = _sums(*pieces, light.ravel(), runs.count)
    with np.errstate(invalid="ignore", divide="ignore"):
        mean = sums[:, 1] / sums[:, 0]
        spread = np.sqrt(np.maximum(sums[:, 2] / sums[:, 0] - mean**2, 0.0))
    return mean, spread


def relative_intensity(pixels: NDArray[np.generic], runs: LabelRuns, pixel_size_um: float) -> NDArray[np.float32]:
    """Return (Y, X) float32 intensity over the local background of `measure_intensity`; NaN where that has none."""
    raw, light, _ = _lit(pixels, runs, pixel_size_um)
    side = block_side(pixel_size_um)
    relative: NDArray[np.float32] = _over(raw, 1.0 / light, side)
    return relative


def block_side(pixel_size_um: float) -> int:
    """Return the side of a block in pixels."""
    return max(1, round(BLOCK_UM / pixel_size_um))


def _lit(
    pixels: NDArray[np.generic], runs: LabelRuns, pixel_size_um: float
) -> tuple[NDArray[np.generic], Vector, tuple[Places, Places, Places, Vector, Vector]]:
    """Return the pixels as they are summed, the background of each block, and the pieces of the runs."""
    side = block_side(pixel_size_um)
    exact = pixels.dtype in _WHOLE_NUMBERS
    raw = np.ascontiguousarray(pixels if exact else pixels.astype(np.float32))
    line = np.zeros(raw.shape[1], np.uint32 if exact else np.float64)
    totals, areas = _blocks(raw, side, line)
    pieces = _pieces(
        raw,
        side,
        runs.instance,
        runs.start,
        runs.end,
        runs.begins,
        totals,
        areas,
        np.zeros(1, np.uint64 if exact else np.float64),
    )
    window = max(3, round(WINDOW_UM / BLOCK_UM))
    return raw, _local_background(totals, areas, window, max(LEAST_SHARE * (window * side) ** 2, 1e-9)), pieces


@numba.njit(cache=True, nogil=True)
def _local_background(totals: Vector, free: Vector, window: int, least: float) -> Vector:
    """Return the background of blocks, NaN where it is unknown or not positive; from sum and number of free pixels.

    It is the mean of the free pixels in a square of `window` blocks around, where there are at least `least` of them,
    and else of the whole frame. Sums are moved on from block to block; those of whole numbers stay exact.
    """
    rows, columns = totals.shape
    before, after = window // 2, window - window // 2
    everywhere = totals.sum() / free.sum() if free.sum() > 0.0 else np.nan
    light = np.empty_like(totals)
    down_total, down_free = np.zeros(columns), np.zeros(columns)
    around, free_around = np.empty(columns), np.empty(columns)
    for y in range(1 - after, rows):
        if y + after - 1 < rows:
            down_total += totals[y + after - 1]
            down_free += free[y + after - 1]
        if y - before - 1 >= 0:
            down_total -= totals[y - before - 1]
            down_free -= free[y - before - 1]
        if y >= 0:
            _slide(down_total, before, after, around)
            _slide(down_free, before, after, free_around)
            for x in range(columns):
                local = around[x] / free_around[x] if free_around[x] >= least else everywhere
                light[y, x] = local if local > 0.0 else np.nan
    return light


@numba.njit(cache=True, nogil=True)
def _slide(line: Vector, before: int, after: int, sums: Vector) -> None:
    """Write into `sums` what `line` adds up to from `before` places back to `after` places on, that one left out."""
    total = 0.0
    for x in range(1 - after, line.size):
        if x + after - 1 < line.size:
            total += line[x + after - 1]
        if x - before - 1 >= 0:
            total -= line[x - before - 1]
        if x >= 0:
            sums[x] = total


@numba.njit(cache=True, nogil=True)
def _blocks(raw: NDArray[np.generic], side: int, line: NDArray[np.generic]) -> tuple[Vector, Vector]:
    """Return sum and number of the pixels of each block; `line` holds columns in a type that their sums fit in."""
    rows, columns = raw.shape
    shape = ((rows + side - 1) // side, (columns + side - 1) // side)
    totals, areas = np.zeros(shape), np.zeros(shape)
    for block_y in range(shape[0]):
        first, last = block_y * side, min(rows, (block_y + 1) * side)
        line[:] = 0
        for y in range(first, last):
            for x in range(columns):
                line[x] += raw[y, x]
        for block_x in range(shape[1]):
            end = min(columns, (block_x + 1) * side)
            areas[block_y, block_x] = (last - first) * (end - block_x * side)
            for x in range(block_x * side, end):
                totals[block_y, block_x] += line[x]
    return totals, areas


@numba.njit(cache=True, nogil=True)
def _pieces(
    raw: NDArray[np.generic],
    side: int,
    instance: Places,
    start: Places,
    end: Places,
    begins: NDArray[np.int64],
    totals: Vector,
    areas: Vector,
    zero: NDArray[np.generic],
) -> tuple[Places, Places, Places, Vector, Vector]:
    """Cut runs at the borders of blocks and take them out of `totals` and `areas`.

    Returns instance, block, pixels, sum and sum of squares of each piece; `zero` is of a type that holds them exactly.
    """
    most = 0
    for run in range(start.size):
        most += (end[run] - 1) // side - start[run] // side + 1
    owner, block, pixels = np.empty(most, np.int32), np.empty(most, np.int32), np.empty(most, np.int32)
    summed, squared = np.empty(most), np.empty(most)
    used = 0
    for y in range(begins.size - 1):
        block_y = y // side
        for run in range(begins[y], begins[y + 1]):
            x = start[run]
            block_x = x // side
            while x < end[run]:
                stop = min(end[run], (block_x + 1) * side)
                total = squares = zero[0]
                for column in range(x, stop):
                    value = zero[0] + raw[y, column]
                    total += value
                    squares += value * value
                pixels[used] = stop - x
                x = stop
                owner[used], block[used] = instance[run], block_y * totals.shape[1] + block_x
                summed[used], squared[used] = total, squares
                totals[block_y, block_x] -= summed[used]
                areas[block_y, block_x] -= pixels[used]
                used += 1
                block_x += 1
    return owner, block, pixels, summed, squared


@numba.njit(cache=True, nogil=True)
def _over(raw: NDArray[np.generic], gain: Vector, side: int) -> NDArray[np.float32]:
    """Return every pixel times the gain of its block."""
    relative = np.empty(raw.shape, np.float32)
    for y in range(raw.shape[0]):
        for x in range(raw.shape[1]):
            relative[y, x] = raw[y, x] * gain[y // side, x // side]
    return relative


@numba.njit(cache=True, nogil=True)
def _sums(
    owner: Places, block: Places, pixels: Places, summed: Vector, squared: Vector, light: Vector, count: int
) -> Vector:
    """Return pixels, sum and sum of squares of intensity over background minus one, (N, 3)."""
    sums = np.zeros((count, 3))
    for piece in range(owner.size):
        number, background = float(pixels[piece]), light[block[piece]]
        share = summed[piece] / background
        sums[owner[piece], 0] += number
        sums[owner[piece], 1] += share - number
        sums[owner[piece], 2] += squared[piece] / (background * background) - 2.0 * share + number
    return sums
