"""Tabular cumulative sum, for a fall of the mean.

Page, E. S. (1954), "Continuous inspection schemes", Biometrika 41:100. With reference k and limit h, in units of the
in-control standard deviation:

    S_t = max(0, S_{t-1} - x_t - k),    alarm when S_t > h.

k = 0.5 is best against a fall of one standard deviation. In-control run lengths (frames between false alarms): h 4
335, h 5 931, h 7.838 16,128. A fall of one standard deviation is then found in 8, 10 and 16 frames on average.
"""

from monitor.drift.base import Detection


class LowerCusum:
    """Detects a fall; see the module for the method.

    >>> detector = LowerCusum(reference_k=0.5, limit_h=4.0)
    >>> [detector.update(x) is not None for x in (0.1, -2.0, -2.0, -2.0)]
    [False, False, False, True]
    """

    name = "cusum-lower"

    def __init__(self, reference_k: float, limit_h: float) -> None:
        self.reference_k = reference_k
        self.limit_h = limit_h
        self.statistic = 0.0
        self.since = 0

    def update(self, value: float) -> Detection | None:
        """Take the next standardised value; return a detection when the sum exceeds the limit."""
        self.statistic = max(0.0, self.statistic - value - self.reference_k)
        self.since = self.since + 1 if self.statistic > 0.0 else 0
        if self.statistic > self.limit_h:
            return Detection(self.statistic, self.limit_h, self.since)
        return None

    def reset(self) -> None:
        """Start anew."""
        self.statistic = 0.0
        self.since = 0
