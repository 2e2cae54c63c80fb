"""A series made ready for a chart while its own mean, spread and memory are still being learnt.

A chart that takes a baseline of n frames for exact alarms several times as often as promised, or as seldom, depending
on how those frames fell. Here each value is compared with what the values before it predict, and the uncertainty of
that prediction is counted in, so that a stable series gives independent standard normal values from the first on,
whatever its level (self-starting CUSUM: Hawkins, D. M. 1987, The Statistician 36:299). Neighbouring frames show the
same cells and err together; that memory is taken out as a first-order autoregression, by recursive residuals (Brown,
Durbin & Evans 1975, J. R. Stat. Soc. B 37:149):

    e_t = (x_t - m) - f (x_{t-1} - m),    z_t = N^-1(T(e_t / (s sqrt(1 + r / n)))),

with mean m, lag-one correlation f and residual deviation s of the values before t, T Student's distribution with the
degrees of freedom behind s, r how much the mean's own error weighs with memory. A fall by d of the series' deviations
lowers z by d sqrt((1 - f) / (1 + f)) for good: memory makes falls harder to tell from luck, and that is no fault of the
chart.

What is learnt lags behind what is judged by `WAITING` values: a fall is found before its values become the usual. By
simulation (`benchmarks/bench_alarms.py`) the false alarms stay below the budget for memories of 0 to 0.5; without the
lag a third of the falls by two deviations after 40 values would never be found.
"""

import math
from collections import deque

from scipy.special import ndtri, stdtr

TAMED = 3.5
"""Deviations beyond which a value teaches no more than one at them: wild frames hardly move the baseline."""
LEAST_MEMORY, MOST_MEMORY = 0.0, 0.9
SMALLEST_TAIL = 1e-300
WAITING = 16
"""Values between judging and learning: in so many a fall of one deviation is found."""


class SelfStarting:
    """Turns values into standardised ones; None while it learns the first.

    Parameters
    ----------
    learn
        Values that are only learnt from, at least 3.
    most
        Values after which it stays as it is: a baseline that went on learning would follow a slow fall.
    prior_sd, prior_weight
        Deviation of values as earlier runs had it, and how many values that is worth.
    prior_memory, memory_weight
        Their lag-one correlation, and how many values that is worth.

    >>> chart = SelfStarting(learn=4, most=1000, prior_sd=1.0)
    >>> [chart.standardised(x) for x in (80.0, 81.0, 79.0, 80.0)]
    [None, None, None, None]
    >>> chart.standardised(75.0) < -3.0
    True
    """

    def __init__(
        self,
        *,
        learn: int,
        most: int,
        prior_sd: float,
        prior_weight: float = 8.0,
        prior_memory: float = 0.2,
        memory_weight: float = 10.0,
    ) -> None:
        if learn < 3 or most < learn or prior_sd <= 0.0 or prior_weight <= 0.0:
            message = f"a baseline of {learn} to {most} values with a prior deviation of {prior_sd} cannot be learnt"
            raise ValueError(message)
        self._learn, self._most = learn, most
        self._prior_sd, self._prior_weight = prior_sd, prior_weight
        self._prior_memory, self._memory_weight = prior_memory, memory_weight
        self._count = self._mean = self._squares = self._lagged = self._before = 0.0
        self._residuals = self._residual_squares = self._last = 0.0
        self._waiting: deque[tuple[float, float, float, float]] = deque()

    @property
    def count(self) -> int:
        """Values that were learnt from."""
        return int(self._count)

    @property
    def ready(self) -> bool:
        """Whether the next value is standardised."""
        return self._count >= self._learn

    @property
    def centre(self) -> float:
        """Mean of the values learnt from."""
        return self._mean

    @property
    def memory(self) -> float:
        """Lag-one correlation drawn to the prior, plus one standard error: too low a guess costs false alarms.

        Estimates from few values are too low by (1 + 3 f) / n (Marriott & Pope 1954, Biometrika 41:390).
        """
        own = self._lagged / self._before if self._before > 0.0 else 0.0
        own += (1.0 + 3.0 * own) / max(self._count, 1.0)
        weight = self._memory_weight + self._count
        drawn = (self._memory_weight * self._prior_memory + self._count * own) / weight
        drawn += math.sqrt(max(1.0 - drawn**2, 0.0) / weight)
        return min(max(drawn, LEAST_MEMORY), MOST_MEMORY)

    @property
    def sd(self) -> float:
        """Deviation of the values, drawn towards the prior."""
        squares = self._prior_weight * self._prior_sd**2 + self._squares
        return math.sqrt(squares / (self._prior_weight + max(self._count - 1.0, 0.0)))

    def standardised(self, value: float, *, follows: bool = True, teaches: bool = True) -> float | None:
        """Take the next value; return how far it lies from what was to be expected, None while learning.

        `follows` is False after a gap so long that the value before says nothing about this one; a value that does not
        teach is compared and never learnt from, except among the first, without which nothing can be compared.
        """
        before = self._last if follows else 0.0
        if not self.ready:
            self._learnt(value, None, before, follows)
            self._last = value
            return None
        found = self._compared(value, follows=follows)
        if teaches:
            self._waiting.append((value, found, before, float(follows)))
        self._last = self._mean + self._tamed(value - self._mean)
        if len(self._waiting) > WAITING:
            oldest = self._waiting.popleft()
            if self._count < self._most:
                self._learnt(*oldest)
        return found

    def _tamed(self, away: float) -> float:
        return min(max(away, -TAMED * self.sd), TAMED * self.sd)

    def _compared(self, value: float, *, follows: bool) -> float:
        memory = self.memory if follows else 0.0
        error = (value - self._mean) - memory * (self._last - self._mean)
        degrees = self._prior_weight + self._residuals
        prior = self._prior_weight * self._prior_sd**2 * (1.0 - self.memory**2)
        deviation = math.sqrt((prior + self._residual_squares) / degrees)
        if not follows:
            deviation /= math.sqrt(1.0 - self.memory**2)
        # the mean of n values with memory errs like that of n (1 - f) / (1 + f) without
        of_mean = (1.0 - memory) ** 2 * (1.0 + self.memory) / (1.0 - self.memory) / self._count
        student = error / (deviation * math.sqrt(1.0 + of_mean))
        tail = max(float(stdtr(degrees, -abs(student))), SMALLEST_TAIL)
        return math.copysign(float(ndtri(tail)), student)

    def _learnt(self, value: float, found: float | None, before: float, follows: float) -> None:
        """Learn from a value, from how it was judged, and from the one before it where it follows one."""
        away = value - self._mean
        if found is not None:
            away = self._tamed(away)
            residual = min(max(found, -TAMED), TAMED)
            prior = self._prior_weight * self._prior_sd**2 * (1.0 - self.memory**2)
            variance = (prior + self._residual_squares) / (self._prior_weight + self._residuals)
            self._residual_squares += residual**2 * variance
            self._residuals += 1.0
        if self._count > 0.0 and follows:
            self._lagged += away * (before - self._mean)
            self._before += (before - self._mean) ** 2
        self._count += 1.0
        self._mean += away / self._count
        self._squares += away * (away - away / self._count)
        if found is None:  # the first residuals, once they can be told
            self._residuals = max(self._count - 2.0, 0.0)
            self._residual_squares = self._squares * (1.0 - self.memory**2)
