"""Whether a flask's rolling potency lies below the floor that its user set, whatever is usual for the flask.

A flask that starts low, or falls while its usual potency is still being learnt, never falls against itself: the
cumulative sum of `PotencyWatch` stays silent, and only a floor can tell. A level alarm as in ISA-18.2, with an
on-delay, a deadband and an off-delay, so that a flask that hovers at its floor does not flutter.
"""

from datetime import datetime

from monitor.culture.alarms import Delay
from monitor.culture.settings import CultureSettings
from monitor.drift.base import Detection
from monitor.messages import RollingEstimate

BACK_ABOVE = 1.0
"""Deviations of a frame (`baseline_sd`) above the floor at which a flask is back: the deadband.

By simulation of 2,000 frames that hover at the floor: with one deviation 1 to 4 crossings where neighbouring frames
err together by 0 to 0.5, with half of one 7 to 23.
"""


class FloorWatch:
    """Watches rolling estimates of full windows only: a few frames say too little about a level.

    below: whether the flask lies below its floor; since: time of the first frame that did, while it does.

    >>> watch = FloorWatch(CultureSettings(potency_floor=70.0))
    >>> low = RollingEstimate(potency=65.0, low=58.0, high=72.0, trend_per_day=None, n_frames=12)
    >>> from datetime import UTC
    >>> [watch.crossed(low, datetime(2026, 3, 10, hour, tzinfo=UTC)) for hour in range(4)]
    [False, True, False, False]
    """

    name = "floor"

    def __init__(self, settings: CultureSettings) -> None:
        self.floor = settings.potency_floor
        self._back = settings.potency_floor + BACK_ABOVE * settings.baseline_sd
        self._sd, self._window = settings.baseline_sd, settings.window_frames
        self._on, self._off = settings.raise_after_frames, settings.clear_after_frames
        self._low, self._high = Delay(), Delay()
        self.below = False

    @property
    def since(self) -> datetime | None:
        """Return the time of the first frame in a row whose rolling estimate lay below the floor."""
        return self._low.since

    def crossed(self, rolling: RollingEstimate, at: datetime) -> bool:
        """Take the rolling estimate after the next frame; return whether with it the flask came to lie below."""
        if rolling.potency is None or rolling.n_frames < self._window:
            return False
        was = self.below
        self._low.note(rolling.potency < self.floor, at)
        self._high.note(rolling.potency < self._back, at)
        if self._low.bad >= self._on:
            self.below = True
        elif self._high.good >= self._off:
            self.below = False
        return self.below and not was

    def found(self, rolling: RollingEstimate) -> Detection:
        """Return how far below its floor a flask lies, in deviations of a frame, for how many frames."""
        below = 0.0 if rolling.potency is None else (self.floor - rolling.potency) / self._sd
        return Detection(below, 0.0, self._low.bad)
