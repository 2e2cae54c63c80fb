"""Exponentially weighted moving average: a smooth line to plot, with limits.

Roberts, S. W. (1959), Technometrics 1:239. With weight w and width L, in units of the in-control standard deviation:

    z_t = w x_t + (1 - w) z_{t-1},    z_0 = 0,    alarm when |z_t| > L sqrt(w / (2 - w) [1 - (1 - w)^{2t}]).

The bracket widens the limits over the first values; without it (`settled`) they are constant from the start. In
control both limits of w 0.1, L 2.814 are crossed once in 500 values; a shift of one deviation is found in 10.
"""

import math

from monitor.drift.base import Detection, DetectorState, Sides


class Ewma:
    """Detects a change of the mean; see the module for the method.

    >>> detector = Ewma(weight=0.2, width=2.962)
    >>> [detector.update(x) is not None for x in (-2.0, -2.0, -2.0, -2.0)]
    [False, False, False, True]
    """

    name = "ewma"

    def __init__(self, weight: float, width: float, *, sides: Sides = Sides.BOTH, settled: bool = True) -> None:
        self.weight = weight
        self.width = width
        self._sides = sides
        self._settled = settled
        self.average = 0.0
        self._count = 0
        self._since = 0

    @property
    def limit(self) -> float:
        """Distance from zero at which the average is out of control now."""
        grown = 1.0 if self._settled else 1.0 - (1.0 - self.weight) ** (2 * max(1, self._count))
        return self.width * math.sqrt(self.weight / (2.0 - self.weight) * grown)

    def update(self, value: float) -> Detection | None:
        """Take the next standardised value; return a detection when the average is beyond its limit."""
        before = self.average
        self.average = self.weight * value + (1.0 - self.weight) * before
        self._count += 1
        self._since = self._since + 1 if self.average * before > 0.0 else 1
        falling = self.average < 0.0
        if abs(self.average) <= self.limit or (self._sides is Sides.LOWER and not falling):
            return None
        return Detection(abs(self.average), self.limit, self._since, falling)

    def reset(self) -> None:
        """Start anew from zero."""
        self.average = 0.0
        self._count = 0
        self._since = 0

    def snapshot(self) -> DetectorState:
        """Return the average, the values taken, and those since it last changed sides."""
        return self.average, float(self._count), float(self._since)

    def restore(self, state: DetectorState) -> None:
        """Go on from a snapshot."""
        self.average, count, since = state
        self._count, self._since = int(count), int(since)
