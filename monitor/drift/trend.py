"""Theil-Sen slope with the Mann-Kendall test: describe and forecast, never trigger.

Sen, P. K. (1968), J. Am. Stat. Assoc. 63:1379: the median of the slopes between all pairs of points; up to 29 % of the
points may be wild without moving it far. Mann, H. B. (1945), Econometrica 13:245 and Kendall, M. G. (1975), "Rank
Correlation Methods": whether the points go one way more often than chance would have them.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import ndtr

POINTS_LEAST = 4


@dataclass(frozen=True, slots=True)
class MannKendall:
    """score: rising pairs less falling ones; z: score over its deviation, with correction; p: two-sided."""

    score: int
    z: float
    p: float


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


def mann_kendall(values: Sequence[float]) -> MannKendall | None:
    """Return the test of a series in its order, ties allowed for; None below four values.

    >>> found = mann_kendall([5.0, 4.0, 4.5, 3.0, 2.0, 1.0])
    >>> found.score, round(found.p, 3)
    (-13, 0.024)
    """
    v = np.asarray(values, float)
    n = v.size
    if n < POINTS_LEAST:
        return None
    first, second = np.triu_indices(n, 1)
    score = int(np.sign(v[second] - v[first]).sum())
    ties = np.unique(v, return_counts=True)[1].astype(float)
    variance = (n * (n - 1) * (2 * n + 5) - (ties * (ties - 1) * (2 * ties + 5)).sum()) / 18.0
    z = (score - math.copysign(1.0, score)) / math.sqrt(variance) if score and variance > 0.0 else 0.0
    return MannKendall(score, z, float(2.0 * ndtr(-abs(z))))
