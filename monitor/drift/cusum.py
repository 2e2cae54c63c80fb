"""Tabular cumulative sums: one-sided, for a fall of the mean, and two-sided.

Page, E. S. (1954), "Continuous inspection schemes", Biometrika 41:100. With reference k and limit h, in units of the
in-control standard deviation:

    S_t = max(0, S_{t-1} - x_t - k),    alarm when S_t > h.

k = 0.5 is best against a fall of one standard deviation. In-control run lengths (frames between false alarms): h 4
335, h 5 931, h 7.838 16,128. A fall of one standard deviation is then found in 8, 10 and 16 frames on average.
A head start S_0 > 0 (fast initial response: Lucas & Crosier 1982, Technometrics 24:199) halves the delay when the
series is off from its first value, at the price of earlier false alarms.
"""

from monitor.drift.base import Detection, DetectorState


class LowerCusum:
    """Detects a fall; see the module for the method.

    >>> detector = LowerCusum(reference_k=0.5, limit_h=4.0)
    >>> [detector.update(x) is not None for x in (0.1, -2.0, -2.0, -2.0)]
    [False, False, False, True]
    """

    name = "cusum-lower"

    def __init__(self, reference_k: float, limit_h: float, head_start: float = 0.0) -> None:
        self.reference_k = reference_k
        self.limit_h = limit_h
        self.head_start = head_start
        self.statistic = head_start
        self.since = 0

    def update(self, value: float) -> Detection | None:
        """Take the next standardised value; return a detection when the sum exceeds the limit."""
        self.statistic = max(0.0, self.statistic - value - self.reference_k)
        self.since = self.since + 1 if self.statistic > 0.0 else 0
        if self.statistic > self.limit_h:
            return Detection(self.statistic, self.limit_h, self.since)
        return None

    def reset(self) -> None:
        """Start anew from the head start."""
        self.statistic = self.head_start
        self.since = 0

    def snapshot(self) -> DetectorState:
        """Return the sum and the number of values since it last was zero."""
        return self.statistic, float(self.since)

    def restore(self, state: DetectorState) -> None:
        """Go on from a snapshot."""
        self.statistic, since = state
        self.since = int(since)


class TwoSidedCusum:
    """Detects a fall and a rise with one sum each.

    >>> detector = TwoSidedCusum(reference_k=0.5, limit_h=4.0)
    >>> [detector.update(x) for x in (2.0, 2.0, 2.0)][-1]
    Detection(statistic=4.5, limit=4.0, since=3, falling=False)
    """

    name = "cusum"

    def __init__(self, reference_k: float, limit_h: float, head_start: float = 0.0) -> None:
        self._falling = LowerCusum(reference_k, limit_h, head_start)
        self._rising = LowerCusum(reference_k, limit_h, head_start)

    def update(self, value: float) -> Detection | None:
        """Take the next standardised value; where both sums exceed the limit, the larger is returned."""
        fell, rose = self._falling.update(value), self._rising.update(-value)
        if rose is not None and (fell is None or rose.statistic > fell.statistic):
            return Detection(rose.statistic, rose.limit, rose.since, falling=False)
        return fell

    def reset(self) -> None:
        """Start anew from the head start."""
        self._falling.reset()
        self._rising.reset()

    def snapshot(self) -> DetectorState:
        """Return the state of the falling side, then of the rising one."""
        return self._falling.snapshot() + self._rising.snapshot()

    def restore(self, state: DetectorState) -> None:
        """Go on from a snapshot."""
        self._falling.restore(state[:2])
        self._rising.restore(state[2:])
