"""Page-Hinkley test: a CUSUM against the mean of the series itself, for series without a baseline.

Page (1954); Hinkley, D. V. (1971), Biometrika 58:509. With tolerance d and limit l, for a fall:

    m_t = mean(x_1 .. x_t),    S_t = max(0, S_{t-1} + m_t - x_t - d),    alarm when S_t > l.

The running mean follows a slow fall, which is then found later or never: where there is a baseline, take the CUSUM.
"""

from monitor.drift.base import Detection, DetectorState


class PageHinkley:
    """Detects a fall below the mean of all values so far.

    >>> detector = PageHinkley(tolerance=0.5, limit=3.0)
    >>> [detector.update(x) is not None for x in (0.0, 0.0, -3.0, -3.0, -3.0)]
    [False, False, False, False, True]
    """

    name = "page-hinkley-lower"

    def __init__(self, tolerance: float, limit: float) -> None:
        self.tolerance = tolerance
        self.limit = limit
        self.mean = 0.0
        self.statistic = 0.0
        self._count = 0
        self._since = 0

    def update(self, value: float) -> Detection | None:
        """Take the next value; return a detection when the sum exceeds the limit."""
        self._count += 1
        self.mean += (value - self.mean) / self._count
        self.statistic = max(0.0, self.statistic + self.mean - value - self.tolerance)
        self._since = self._since + 1 if self.statistic > 0.0 else 0
        if self.statistic > self.limit:
            return Detection(self.statistic, self.limit, self._since)
        return None

    def reset(self) -> None:
        """Forget the mean and the sum."""
        self.mean = self.statistic = 0.0
        self._count = self._since = 0

    def snapshot(self) -> DetectorState:
        """Return sum, mean, values taken, and those since the sum last was zero."""
        return self.statistic, self.mean, float(self._count), float(self._since)

    def restore(self, state: DetectorState) -> None:
        """Go on from a snapshot."""
        self.statistic, self.mean, count, since = state
        self._count, self._since = int(count), int(since)
