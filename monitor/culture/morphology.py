"""Whether a flask's cells look like those of past good runs at the same age: the frame is the unit, never the cell.

The median of the last frames' distances to the reference is compared with how far runs lie apart (Student's t, as for a
further run of the same kind), and the features that differ are named with a bound on false ones among them
(Benjamini & Hochberg 1995). Pooled cells would find a difference in any two flasks.
"""

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy.special import stdtr

from monitor.culture.reference import ReferenceTrajectory
from monitor.drift.false_discovery import discoveries

if TYPE_CHECKING:
    from numpy.typing import NDArray

BACK_RATE = 3.0
"""While the alarm stands a feature counts as different at so many times the false-discovery rate: the deadband."""
NAMED = 3


@dataclass(frozen=True, slots=True)
class Unlike:
    """What differs: None where it cannot be judged, else whether anything does, and what, in words."""

    bad: bool | None
    cause: str = ""


class MorphologyWatch:
    """Compares the last frames of one flask with a reference.

    Parameters
    ----------
    reference
        Past good runs; None judges nothing.
    window
        Frames in the comparison; half of them must be there.
    rate
        False-discovery rate among the features of one comparison.
    """

    def __init__(self, reference: ReferenceTrajectory | None, window: int, rate: float) -> None:
        self._reference = reference
        self._rate = rate
        self._window = window
        self._distances: deque[NDArray[np.float64]] = deque(maxlen=window)
        if reference is not None:
            self._names, self._centre, self._sd = reference.tables()
            self._hours = np.array(reference.hours)
            self._runs = np.array(reference.runs, float)

    def judge(self, hour: float, features: Mapping[str, float], *, active: bool) -> Unlike:
        """Take a frame that can be read; `hour` is the culture's age."""
        reference = self._reference
        if reference is None or not reference.covers(hour):
            return Unlike(None)
        values = np.array([features.get(name, np.nan) for name in self._names])
        place = np.interp(hour, self._hours, np.arange(len(self._hours)))
        low, share = int(place), place - int(place)
        high = min(low + 1, len(self._hours) - 1)
        centre = (1.0 - share) * self._centre[low] + share * self._centre[high]
        sd = (1.0 - share) * self._sd[low] + share * self._sd[high]
        self._distances.append((values - centre) / sd)
        if 2 * len(self._distances) < self._window:
            return Unlike(None)
        runs = self._runs[low]
        apart = np.median(np.array(self._distances), axis=0) / np.sqrt(1.0 + 1.0 / runs)
        p = 2.0 * stdtr(runs - 1.0, -np.abs(apart))
        found = discoveries(p.tolist(), self._rate * (BACK_RATE if active else 1.0))
        if not found.any():
            return Unlike(False)
        order = [index for index in np.argsort(p) if found[index]][:NAMED]
        told = ", ".join(f"{self._names[index]} {apart[index]:+.1f}" for index in order)
        count = int(found.sum())
        return Unlike(
            True, f"{count} features lie apart from good runs at hour {hour:.0f}, in their deviations: {told}"
        )
