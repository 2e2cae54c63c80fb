"""Shewhart chart: a single value far outside, for gross faults.

Shewhart, W. A. (1931), "Economic Control of Quality of Manufactured Product". With width L in units of the in-control
standard deviation: alarm when |x_t| > L. L = 3 is crossed once in 370 values, L = 4 once in 15,787 (both sides); a
shift of one deviation takes 44 values to find with L = 3, a shift of four deviations one or two.
"""

from monitor.drift.base import Detection, Sides


class Shewhart:
    """Detects single values outside the limit; remembers nothing.

    >>> detector = Shewhart(width=4.0, sides=Sides.LOWER)
    >>> [detector.update(x) is not None for x in (4.5, -3.0, -4.5)]
    [False, False, True]
    """

    def __init__(self, width: float, *, sides: Sides = Sides.BOTH) -> None:
        self.width = width
        self._sides = sides

    @property
    def name(self) -> str:
        """Name as it stands in events."""
        return "shewhart-lower" if self._sides is Sides.LOWER else "shewhart"

    def update(self, value: float) -> Detection | None:
        """Take the next standardised value; return a detection when it is beyond the limit."""
        falling = value < 0.0
        if abs(value) <= self.width or (self._sides is Sides.LOWER and not falling):
            return None
        return Detection(abs(value), self.width, 1, falling)

    def reset(self) -> None:
        """Nothing is remembered."""
