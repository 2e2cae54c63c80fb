"""When a quantity will cross a limit if it goes on as it went: describes and never raises an alarm.

A straight line through the last frames meets the limit somewhere; the interval of that place is Fieller's (1954, J. R.
Stat. Soc. B 16:175), with the variance raised for what neighbouring frames err together (by (1 + r) / (1 - r), r being
the correlation of neighbouring residuals) and by half again for courses that are no straight line. `bench_culture`
measures how often the truth lies in it. Where the slope is not sure enough there is no forecast.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import stdtrit

FRAMES = 32
"""Last frames that the line goes through: more of them reach back to before the change, fewer say too little."""
FRAMES_LEAST = 8
NO_LINE = 1.5
MEMORY_MOST = 0.8
FREEDOM_LEAST = 1.5
COVERAGE = 0.9
HORIZON_H = 240.0
"""What lies further ahead is not told."""


@dataclass(frozen=True, slots=True)
class Forecast:
    """In how many hours from the last frame the limit is crossed: the likely time, and an interval of 90 %."""

    hours: float
    low: float
    high: float

    def in_words(self, what: str) -> str:
        """Return a sentence.

        >>> Forecast(9.2, 6.1, 14.0).in_words("potency will cross the floor of 70 %")
        'potency will cross the floor of 70 % in 9 h (6 to 14 h)'
        """
        return f"{what} in {self.hours:.0f} h ({self.low:.0f} to {self.high:.0f} h)"


def crossing(hours: Sequence[float], values: Sequence[float], limit: float, *, falling: bool) -> Forecast | None:
    """Return when the limit is crossed from above (`falling`) or below.

    Parameters
    ----------
    hours, values
        Times of frames, ascending, and what was measured; the last `FRAMES` of them count.

    Returns
    -------
    Forecast | None
        None when it is crossed already, the line leads elsewhere, or nothing can be said within `HORIZON_H`.

    >>> found = crossing(range(20), [100.0 - 2.0 * hour + hour % 2 for hour in range(20)], 50.0, falling=True)
    >>> found is not None and found.low < 6.3 < found.high
    True
    >>> crossing(range(20), [100.0] * 20, 50.0, falling=True) is None
    True
    """
    t, y = np.asarray(hours, float)[-FRAMES:], np.asarray(values, float)[-FRAMES:]
    if t.size < FRAMES_LEAST or t[-1] <= t[0]:
        return None
    middle, level = float(t.mean()), float(y.mean())
    spread = float(((t - middle) ** 2).sum())
    slope = float(((t - middle) * (y - level)).sum()) / spread
    now = level + slope * (t[-1] - middle)
    crossed = now <= limit if falling else now >= limit
    if crossed or slope == 0.0 or (slope < 0.0) is not falling:
        return None
    bounds = _fieller(y - level - slope * (t - middle), t.size, slope, level - limit, spread)
    if bounds is None:
        return None
    passed = t[-1] - middle
    low, high = max(bounds[0] - passed, 0.0), bounds[1] - passed
    likely = (limit - level) / slope - passed
    return Forecast(float(likely), float(low), float(high)) if high <= HORIZON_H else None


def logit(share: float) -> float:
    """Return a share on the scale on which growth towards one is a straight line; held inside 0.001 to 0.999."""
    held = min(max(share, 0.001), 0.999)
    return math.log(held / (1.0 - held))


def _fieller(
    residuals: np.ndarray, count: int, slope: float, above: float, spread: float
) -> tuple[float, float] | None:
    """Return where the line meets the limit, measured from its middle; None when it may be anywhere."""
    squares = float((residuals**2).sum())
    memory = float((residuals[1:] * residuals[:-1]).sum()) / squares if squares > 0.0 else 0.0
    memory = min(max(memory, 0.0), MEMORY_MOST)
    inflation = NO_LINE * (1.0 + memory) / (1.0 - memory)
    quantile = float(stdtrit(max(count / inflation - 2.0, FREEDOM_LEAST), 0.5 + COVERAGE / 2.0))
    k = quantile**2 * inflation * squares / (count - 2)
    a, b, c = slope**2 - k / spread, 2.0 * slope * above, above**2 - k / count
    root = b * b - 4.0 * a * c
    if a <= 0.0 or root < 0.0:
        return None
    return (-b - math.sqrt(root)) / (2.0 * a), (-b + math.sqrt(root)) / (2.0 * a)
