"""A flask's own reference: centre and spread of its first frames."""

import numpy as np

PRIOR_WEIGHT = 8
"""Frames that the prior deviation counts for."""
PROVISIONAL_BELOW = 30
"""A baseline of fewer frames is called provisional: limits estimated from them vary widely."""


class Baseline:
    """Collects the first values of a series and then stays as it is: a moving reference would follow a slow fall.

    Parameters
    ----------
    frames
        Values that make the baseline.
    prior_sd
        Deviation that the estimate is drawn towards, and never falls below.
    """

    def __init__(self, frames: int, prior_sd: float) -> None:
        self._frames = frames
        self._prior_sd = prior_sd
        self._values: list[float] = []
        self.centre = 0.0
        self.sd = prior_sd

    @property
    def ready(self) -> bool:
        """Whether the baseline is complete."""
        return len(self._values) >= self._frames

    @property
    def provisional(self) -> bool:
        """Whether it rests on too few frames to take its limits as exact."""
        return self._frames < PROVISIONAL_BELOW

    def learn(self, value: float) -> None:
        """Take a value into the baseline; values after it is complete change nothing."""
        if self.ready:
            return
        self._values.append(value)
        values = np.array(self._values)
        self.centre = float(np.median(values))
        own = 1.4826 * float(np.median(np.abs(values - self.centre)))
        count = len(values)
        pooled = np.sqrt((PRIOR_WEIGHT * self._prior_sd**2 + count * own**2) / (PRIOR_WEIGHT + count))
        self.sd = max(float(pooled), self._prior_sd)

    def standardised(self, value: float) -> float:
        """Return how many deviations a value lies from the centre."""
        return (value - self.centre) / self.sd
