"""How fast a flask grows, from the density of its cells over time."""

import math
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from monitor.features.catalogue import Feature

GROWTH = (
    Feature("growth_rate", "1/h", "slope of the logarithm of cell density on time", "Theil 1950, Sen 1968"),
    Feature("growth_rate_low", "1/h", "lower bound of the 90 % interval of the growth rate", "Sen 1968"),
    Feature("growth_rate_high", "1/h", "upper bound of the 90 % interval of the growth rate", "Sen 1968"),
    Feature(
        "doubling_time",
        "h",
        "ln 2 over the growth rate; absent where cells do not grow in number",
        "Theil 1950, Sen 1968",
    ),
)
"""What a flask has; absent where nothing can be said."""
LEAST_FRAMES = 3
NORMAL_95 = 1.6448536269514722


@dataclass(frozen=True, slots=True)
class Count:
    """Density of one frame: `position` in the flask, hours on any common clock, cells per cm2."""

    position: str
    hours: float
    density: float


def growth(counts: Iterable[Count]) -> dict[str, float]:
    """Return what `GROWTH` names of a flask.

    The rate is the median of the slopes between any two frames of the same position, so that positions may start at
    different densities, come and go, and up to 29 % of the frames be wrong. Frames without a cell say nothing. Empty
    when no position has `LEAST_FRAMES` frames at different times. The interval is Sen's, by the variance of Kendall's
    statistic summed over positions; successive frames share their cells, so that it is somewhat too narrow.
    """
    by_position: dict[str, list[Count]] = {}
    for count in counts:
        if count.density > 0.0:
            by_position.setdefault(count.position, []).append(count)
    slopes: list[float] = []
    variance = 0.0
    for series in by_position.values():
        if len({count.hours for count in series}) < LEAST_FRAMES:
            continue
        hours = np.array([count.hours for count in series])
        logs = np.log([count.density for count in series])
        one, other = np.triu_indices(len(series), 1)
        apart = hours[other] - hours[one]
        slopes += ((logs[other] - logs[one])[apart != 0.0] / apart[apart != 0.0]).tolist()
        variance += len(series) * (len(series) - 1) * (2 * len(series) + 5) / 18.0
    if not slopes:
        return {}
    ordered = np.sort(slopes)
    off = NORMAL_95 * math.sqrt(variance)
    low = max(0, math.floor((len(slopes) - off) / 2.0))
    high = min(len(slopes) - 1, math.ceil((len(slopes) + off) / 2.0))
    rate = float(np.median(ordered))
    found = {"growth_rate": rate, "growth_rate_low": float(ordered[low]), "growth_rate_high": float(ordered[high])}
    if rate > 0.0:
        found["doubling_time"] = math.log(2.0) / rate
    return found
