"""Theil-Sen slope: describe and forecast, never trigger.

Sen, P. K. (1968), J. Am. Stat. Assoc. 63:1379: the median of the slopes between all pairs of points; up to 29 % of the
points may be wild without moving it far.
"""

from collections.abc import Sequence

import numpy as np

POINTS_LEAST = 4


def theil_sen(times: Sequence[float], values: Sequence[float]) -> float | None:
    """Return the slope in units of `values` per unit of `times`; None below four points or without two times.

    >>> theil_sen([0, 1, 2, 3, 4], [1.0, 3.0, 5.0, 7.0, 100.0])
    2.0
    """
    if len(times) < POINTS_LEAST:
        return None
    t, v = np.asarray(times, float), np.asarray(values, float)
    first, second = np.triu_indices(len(t), 1)
    apart = t[second] != t[first]
    if not apart.any():
        return None
    slopes = (v[second] - v[first])[apart] / (t[second] - t[first])[apart]
    return float(np.median(slopes))
