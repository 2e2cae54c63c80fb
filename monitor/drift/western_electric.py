"""Western Electric rules: patterns on a Shewhart chart. Off unless asked for.

Western Electric Company (1956), "Statistical Quality Control Handbook". In units of the in-control deviation, on one
side: 1 value beyond 3; 2 of 3 beyond 2; 4 of 5 beyond 1; 8 in a row beyond 0. Together, on both sides, they alarm once
in 92 values in control, where rule 1 alone does once in 370: over 24 flasks at one frame in 15 minutes that is 25 false
alarms a day.
"""

from collections import deque

from monitor.drift.base import Detection, DetectorState, Sides

RULES = ((1, 1, 3.0), (2, 3, 2.0), (4, 5, 1.0), (8, 8, 0.0))
"""So many of so many values beyond so many deviations."""
LONGEST = 8


class WesternElectric:
    """Detects patterns of values on one side.

    >>> detector = WesternElectric()
    >>> [detector.update(x) is not None for x in (-2.1, -0.3, -2.2)]
    [False, False, True]
    """

    name = "western-electric"

    def __init__(self, *, sides: Sides = Sides.BOTH) -> None:
        self._sides = sides
        self._values: deque[float] = deque(maxlen=LONGEST)

    def update(self, value: float) -> Detection | None:
        """Take the next value; return a detection when it completes a pattern, with the rule's limit."""
        self._values.append(value)
        for falling in (True, False) if self._sides is Sides.BOTH else (True,):
            side = [-one if falling else one for one in self._values]
            for least, among, limit in RULES:
                recent = side[-among:]
                # a pattern is complete with the value that is part of it, not with the ones after
                if recent[-1] > limit and sum(one > limit for one in recent) >= least:
                    return Detection(recent[-1], limit, min(among, len(recent)), falling)
        return None

    def reset(self) -> None:
        """Forget all values."""
        self._values.clear()

    def snapshot(self) -> DetectorState:
        """Return the last values, oldest first."""
        return tuple(self._values)

    def restore(self, state: DetectorState) -> None:
        """Go on from a snapshot."""
        self._values = deque(state, maxlen=LONGEST)
