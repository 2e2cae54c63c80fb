"""Convolutions of 3 x 3 in float32 by Winograd's F(4 x 4, 3 x 3): a quarter of the multiplications.

Activations are (Y, X, C) with the channels last, Y and X multiples of 4, C and N multiples of `LANES`. Every 4 x 4 tile
of the result is computed by itself, from 6 x 6 of the source, so the values do not depend on how many threads there are
nor on the size of the frame. They differ from those of a convolution that is summed directly by about 1e-5 of the
largest, the price of the transforms in float32.
"""

from collections.abc import Callable
from functools import partial

import numba
import numpy as np
from numpy.typing import NDArray

from monitor.parallel import in_parallel, shares
from monitor.winograd.tiles import (
    LANES,
    ROWS,
    gather_tile,
    multiply_1,
    multiply_2,
    multiply_3,
    spread_raised_tile,
    spread_tile,
)

Plane = NDArray[np.float32]

CHUNK = 128
"""Tiles at a time: what they are spread to stays in a core's own cache. A multiple of `ROWS`."""

_WEIGHTS = np.array(
    [
        [1 / 4, 0, 0],
        [-1 / 6, -1 / 6, -1 / 6],
        [-1 / 6, 1 / 6, -1 / 6],
        [1 / 24, 1 / 12, 1 / 6],
        [1 / 24, -1 / 12, 1 / 6],
        [0, 0, 1],
    ]
)


class Winograd:
    """One convolution of 3 x 3, padded with zeros to keep the size.

    Parameters
    ----------
    weight
        (N, C, 3, 3) float64.
    bias
        (N,) float64.
    rectified
        Whether what is below 0 becomes 0.
    shuffled
        Whether pixels go to maps as by `torch.nn.PixelShuffle(2)`.
    """

    def __init__(
        self, weight: NDArray[np.float64], bias: NDArray[np.float64], *, rectified: bool, shuffled: bool = False
    ) -> None:
        outputs, inputs = weight.shape[:2]
        spread = np.einsum("ia,jb,ncab->ijcn", _WEIGHTS, _WEIGHTS, weight).reshape(36, inputs, outputs)
        self._weights = np.ascontiguousarray(spread, np.float32)
        self._bias = bias.astype(np.float32)
        self._floor = 0.0 if rectified else -np.inf
        self._shuffled = shuffled

    def run(self, x: Plane, found: Plane, threads: int, coarse: Plane | None = None) -> None:
        """Write the convolution of `x`, plus `coarse` with every pixel four times, to `found`, on so many threads.

        x: (Y, X, C); coarse: (Y / 2, X / 2, C); found: (Y, X, N), or (K, 2 Y, 2 X) maps when shuffled, which the first
        4 K channels go to.
        """
        added = np.empty((0, 0, x.shape[2]), np.float32) if coarse is None else coarse

        def share(first: int, last: int) -> None:
            _convolve(x, added, self._weights, self._bias, self._floor, self._shuffled, found, first, last)

        _in_shares(share, x.shape[0] // 4 * (x.shape[1] // 4), threads)


class Pointwise:
    """A convolution of 1 x 1 without bias; weight: (N, C) float64."""

    def __init__(self, weight: NDArray[np.float64]) -> None:
        self._weights = np.ascontiguousarray(weight.T[None], np.float32)

    def run(self, x: Plane, found: Plane, threads: int) -> None:
        """Write the convolution of (Y, X, C) to `found`, (Y, X, N), on so many threads; Y and X multiples of 4."""
        flat, result = x.reshape(-1, x.shape[2]), found.reshape(-1, found.shape[2])

        def share(first: int, last: int) -> None:
            _multiply(flat[None, ROWS * first : ROWS * last], self._weights, result[None, ROWS * first : ROWS * last])

        _in_shares(share, len(flat) // ROWS, threads)


def _in_shares(work: Callable[[int, int], None], count: int, threads: int) -> None:
    """Do `work` from 0 to `count` in parts side by side, each of at least `CHUNK`."""
    many = max(1, min(threads, count // CHUNK))
    in_parallel([partial(work, first, last) for first, last in shares(count, many)])


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _convolve(
    x: Plane,
    coarse: Plane,
    weights: Plane,
    bias: Plane,
    floor: float,
    shuffled: bool,
    found: Plane,
    first: int,
    last: int,
) -> None:
    """Write the tiles from `first` to `last`."""
    columns, inputs, outputs = x.shape[1] // 4, weights.shape[1], weights.shape[2]
    spread, products = np.empty((36, CHUNK, inputs), np.float32), np.empty((36, CHUNK, outputs), np.float32)
    patch, pixels = np.empty((6, 6, inputs), np.float32), np.empty((4, 4, outputs), np.float32)
    column = 4 * outputs
    row = (4 if shuffled else x.shape[1]) * column
    for begin in range(first, last, CHUNK):
        end = min(last, begin + CHUNK)
        _spread(x, coarse, begin, end, patch, spread)
        tiles = (end - begin + ROWS - 1) // ROWS * ROWS  # what lies behind the last one is multiplied in vain
        _multiply(spread[:, :tiles], weights, products[:, :tiles])
        for tile in range(begin, end):
            down, across = tile // columns, tile % columns
            source = products.ctypes.data + (tile - begin) * column
            target = pixels.ctypes.data if shuffled else found.ctypes.data + 4 * down * row + 4 * across * column
            for n in range(0, column, 4 * LANES):
                gather_tile(source + n, products.strides[0], bias.ctypes.data + n, floor, target + n, row, column)
            if shuffled:
                _shuffle(pixels, found[:, 8 * down : 8 * down + 8, 8 * across : 8 * across + 8])


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _shuffle(pixels: Plane, maps: Plane) -> None:
    for k in range(maps.shape[0]):
        for y in range(8):
            for x in range(8):
                maps[k, y, x] = pixels[y // 2, x // 2, 4 * k + 2 * (y % 2) + x % 2]


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _spread(x: Plane, coarse: Plane, begin: int, end: int, patch: Plane, spread: Plane) -> None:
    """Transform the tiles from `begin` to `end`; those at the frame's border from a copy with zeros around."""
    rows, columns, channels = x.shape
    row, column = 4 * columns * channels, 4 * channels
    for tile in range(begin, end):
        top, left = 4 * (tile // (columns // 4)) - 1, 4 * (tile % (columns // 4)) - 1
        target = spread.ctypes.data + (tile - begin) * column
        if top < 0 or left < 0 or top + 6 > rows or left + 6 > columns:
            _cut_out(x, coarse, top, left, patch)
            for c in range(0, column, 4 * LANES):
                spread_tile(patch.ctypes.data + c, 6 * column, column, target + c, spread.strides[0])
            continue
        source = x.ctypes.data + top * row + left * column
        if coarse.size == 0:
            for c in range(0, column, 4 * LANES):
                spread_tile(source + c, row, column, target + c, spread.strides[0])
        else:
            above = coarse.ctypes.data + (top // 2) * (row // 2) + (left // 2) * column
            for c in range(0, column, 4 * LANES):
                spread_raised_tile(source + c, row, column, above + c, row // 2, target + c, spread.strides[0])


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _cut_out(x: Plane, coarse: Plane, top: int, left: int, patch: Plane) -> None:
    for y in range(top, top + 6):
        for across in range(left, left + 6):
            line = patch[y - top, across - left]
            if y < 0 or across < 0 or y >= x.shape[0] or across >= x.shape[1]:
                line[:] = 0.0
            elif coarse.size == 0:
                line[:] = x[y, across]
            else:
                fine, above = x[y, across], coarse[y // 2, across // 2]
                for c in range(line.size):
                    line[c] = fine[c] + above[c]


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _multiply(rows: Plane, weights: Plane, products: Plane) -> None:
    """Multiply (P, R, C) rows with (P, C, N) matrices; R a multiple of `ROWS`, N of `LANES`."""
    inputs, outputs = weights.shape[1], weights.shape[2]
    for place in range(len(weights)):
        for first in range(0, rows.shape[1], ROWS):
            source = rows.ctypes.data + place * rows.strides[0] + 4 * first * inputs
            target = products.ctypes.data + place * products.strides[0] + 4 * first * outputs
            matrix = weights.ctypes.data + place * weights.strides[0]
            n = 0
            while n < outputs:
                vectors = min(3, (outputs - n) // LANES)
                here, there = matrix + 4 * n, target + 4 * n
                if vectors == 3:
                    multiply_3(source, 4 * inputs, here, 4 * outputs, inputs, there, 4 * outputs)
                elif vectors == 2:
                    multiply_2(source, 4 * inputs, here, 4 * outputs, inputs, there, 4 * outputs)
                else:
                    multiply_1(source, 4 * inputs, here, 4 * outputs, inputs, there, 4 * outputs)
                n += vectors * LANES
