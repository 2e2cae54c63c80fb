"""The rolling estimate of a flask over its last assessable frames."""

from collections import deque
from datetime import datetime

import numpy as np

from monitor.drift.trend import theil_sen
from monitor.messages import FrameEstimate, RollingEstimate
from monitor.potency.pooled import pooled

DAY_S = 86_400.0


class RollingWindow:
    """Median potency of the last frames, their mean interval, and the slope; see `pooled`.

    There is none while the frames are of fewer than `min_fields` fields of view.
    """

    def __init__(self, frames: int, min_fields: int = 1) -> None:
        self._frames: deque[tuple[datetime, float, float, float]] = deque(maxlen=frames)
        self._fields: deque[str] = deque(maxlen=frames)
        self._min_fields = min_fields
        self._estimate: RollingEstimate | None = None

    def add(self, at: datetime, estimate: FrameEstimate, position: str = "") -> None:
        """Take a frame of a position in; one that could not be assessed leaves the window as it is."""
        if estimate.potency is not None and estimate.low is not None and estimate.high is not None:
            self._frames.append((at, estimate.potency, estimate.low, estimate.high))
            self._fields.append(position)
            self._estimate = None

    def estimate(self) -> RollingEstimate:
        """Return the rolling estimate, which stays as it is until the next frame is taken in."""
        if self._estimate is None:
            self._estimate = self._estimated()
        return self._estimate

    def _estimated(self) -> RollingEstimate:
        if not self._frames or len(set(self._fields)) < self._min_fields:
            return RollingEstimate(potency=None, low=None, high=None, trend_per_day=None, n_frames=len(self._frames))
        times, potencies, lows, highs = zip(*self._frames, strict=True)
        days = [(at - times[0]).total_seconds() / DAY_S for at in times]
        low, potency, high = pooled(np.column_stack([lows, potencies, highs])).tolist()
        return RollingEstimate(
            potency=potency,
            low=low,
            high=high,
            trend_per_day=theil_sen(days, potencies),
            n_frames=len(potencies),
        )
