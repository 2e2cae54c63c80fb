"""Fewer points that draw the same: of every pixel's worth of time the lowest and the highest are kept."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Vector = NDArray[np.float64]


def kept(t: Vector, lines: Sequence[Vector], width: int) -> NDArray[np.int64]:
    """Return the places, ascending, of the points to draw `lines` with on `width` pixels.

    Parameters
    ----------
    t
        (N,) times, ascending.
    lines
        Each (N,); NaN is a gap. Points of all lines are kept together, so that intervals fit their middle.
    width
        Pixels over the whole of `t`, at least 1.

    Returns
    -------
    Of every pixel the lowest and highest point of each line, its first where all are NaN, and a NaN between points, so
    that a gap stays one; first and last point are always among them. All N where they are no more than two a pixel.

    >>> t = np.arange(1000.0); v = np.zeros(1000); v[500], v[501] = 9.0, -9.0
    >>> places = kept(t, [v], 10)
    >>> len(places) < 50, 500 in places, 501 in places
    (True, True, True)
    """
    count = len(t)
    if count <= 2 * width or t[-1] <= t[0]:
        return np.arange(count)
    pixel = np.minimum(((t - t[0]) * (width / (t[-1] - t[0]))).astype(np.int64), width - 1)
    starts = np.flatnonzero(np.diff(pixel, prepend=-1))
    found = [np.array([0, count - 1])]
    for line in lines:
        gap = np.isnan(line)
        low = np.lexsort((np.where(gap, np.inf, line), pixel))
        high = np.lexsort((np.where(gap, np.inf, -line), pixel))
        found += [low[starts], high[starts]]
        if gap.any():
            found.append(_gaps(gap, pixel))
    return np.unique(np.concatenate(found))


def _gaps(gap: NDArray[np.bool_], pixel: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the first NaN of every pixel."""
    places = np.flatnonzero(gap)
    _, first = np.unique(pixel[places], return_index=True)
    return places[first]


def rounded(values: Vector, digits: int = 3) -> list[float | None]:
    """Return numbers for JSON, NaN as None.

    >>> rounded(np.array([1.23456, np.nan]))
    [1.235, None]
    """
    return [None if value != value else value for value in np.round(values, digits).tolist()]
