"""Whether a flask's potency falls, against the flask's own course and with a promised false-alarm rate."""

from collections import deque
from datetime import datetime

from monitor.culture.baseline import PROVISIONAL_BELOW
from monitor.culture.settings import CultureSettings
from monitor.drift.base import Detection
from monitor.drift.cusum import LowerCusum
from monitor.drift.limits import limit_for
from monitor.drift.self_starting import SelfStarting

TAMED = 4.0
"""Deviations beyond which a frame counts as one at them: one wild frame never raises an alarm."""
BACK_WITHIN = 0.5
"""Deviations below its usual within which a flask's rolling potency must be to count as back: the deadband."""
GAP = 3.0
"""A pause longer than so many of the usual ones ends a frame's memory of the one before."""
PAUSES = 64


class PotencyWatch:
    """Learns a flask's usual potency, its spread and its memory while it watches; see `SelfStarting` and `LowerCusum`.

    The sum's limit is derived from the false-alarm budget of the settings.
    """

    def __init__(self, settings: CultureSettings) -> None:
        self._usual = SelfStarting(
            learn=settings.baseline_frames, most=settings.baseline_most, prior_sd=settings.baseline_sd
        )
        k = settings.cusum_reference_k
        self._cusum = LowerCusum(k, limit_for(settings.false_alarms.frames_between, k))
        self._last: datetime | None = None
        self._pauses: deque[float] = deque(maxlen=PAUSES)
        self._known, self._fallen = 0.0, False
        self.falling_since: datetime | None = None

    @property
    def detector(self) -> str:
        """Name of the detector as it stands in events."""
        return self._cusum.name

    @property
    def statistic(self) -> float:
        """The sum, in deviations of a frame."""
        return self._cusum.statistic

    @property
    def limit(self) -> float:
        """What the sum must exceed."""
        return self._cusum.limit_h

    @property
    def reference_k(self) -> float:
        """Deviations below what is usual from which on a frame adds to the sum."""
        return self._cusum.reference_k

    @property
    def ready(self) -> bool:
        """Whether enough frames were seen to say what is usual."""
        return self._usual.ready

    @property
    def provisional(self) -> bool:
        """Whether the flask's usual potency rests on few frames."""
        return self._usual.count < PROVISIONAL_BELOW

    @property
    def centre(self) -> float:
        """The flask's usual potency."""
        return self._usual.centre

    @property
    def sd(self) -> float:
        """How far frames lie from it."""
        return self._usual.sd

    def judge(self, potency: float, at: datetime) -> Detection | None:
        """Take the potency of the next assessable frame; return a detection while the sum is beyond its limit."""
        # while a fall stands its frames teach nothing: what is usual would follow it, and the fall seem over
        value = self._usual.standardised(potency, follows=self._follows(at), teaches=not self._fallen)
        if value is None:
            return None
        found = self._cusum.update(max(-TAMED, min(TAMED, value)) - self._known)
        if self._cusum.since == 1:
            self.falling_since = at
        self._fallen = self._fallen or found is not None
        return found

    def back(self, rolling: float) -> bool:
        """Whether nothing speaks for a fall any more: the sum is at zero and the rolling potency near its usual."""
        return self.statistic == 0.0 and rolling >= self.centre - BACK_WITHIN * self.sd

    def acknowledge(self) -> None:
        """Note that somebody knows of the fall: from now on only a further one adds to the sum.

        How deep the known fall is comes from the sum itself: S_n / n + k below target (Montgomery 2013, Introduction
        to Statistical Quality Control, 9.1).
        """
        if self._cusum.since:
            self._known -= self.statistic / self._cusum.since + self.reference_k
        self._cusum.reset()
        self.falling_since = None

    def reset(self) -> None:
        """Let the sum begin anew against what is usual, as after a fall that is over; what is usual stays learnt."""
        self._cusum.reset()
        self._known, self._fallen = 0.0, False
        self.falling_since = None

    def _follows(self, at: datetime) -> bool:
        pause = 0.0 if self._last is None else (at - self._last).total_seconds()
        self._last = at
        usual = max(self._pauses, default=0.0)
        if usual > 0.0 and pause > GAP * usual:
            return False
        self._pauses.append(pause)
        return True
