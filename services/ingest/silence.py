"""Flasks that stopped sending, as the ingester's clock sees it."""

import itertools
from collections import defaultdict
from datetime import datetime
from statistics import median

from monitor.messages import FlaskSilent, FrameArrived

TIME_POINTS_TO_LEARN = 4
TIME_POINTS_KEPT = 16


class SilenceWatch:
    """Knows each flask's newest arrival and rhythm, and says once per silence that nothing came.

    Silence counts from the arrival of the newest frame, not from its acquisition, so that an old series that is
    played again is not silent from the start.
    """

    def __init__(self, expected_interval_s: float | None, silent_intervals: float) -> None:
        self._expected_interval_s = expected_interval_s
        self._silent_intervals = silent_intervals
        self._newest: dict[str, FrameArrived] = {}
        self._moments: dict[str, list[datetime]] = defaultdict(list)
        self._announced: dict[str, str] = {}

    def note(self, frame: FrameArrived) -> None:
        """Take a frame into account."""
        flask = frame.key.flask
        moments = self._moments[flask]
        if frame.acquired_at not in moments:
            moments.append(frame.acquired_at)
            moments.sort()
            del moments[:-TIME_POINTS_KEPT]
        newest = self._newest.get(flask)
        if newest is None or frame.arrived_at >= newest.arrived_at:
            self._newest[flask] = frame

    def interval_s(self, flask: str) -> float | None:
        """Return the expected time between frames: as set, or learned once four time points are known."""
        if self._expected_interval_s is not None:
            return self._expected_interval_s
        moments = self._moments[flask]
        if len(moments) < TIME_POINTS_TO_LEARN:
            return None
        return median((b - a).total_seconds() for a, b in itertools.pairwise(moments))

    def silent(self, now: datetime) -> list[FlaskSilent]:
        """Return the flasks that are silent and were not announced since their newest frame."""
        found = []
        for flask, newest in self._newest.items():
            interval_s = self.interval_s(flask)
            if interval_s is None or self._announced.get(flask) == newest.frame_id:
                continue
            if (now - newest.arrived_at).total_seconds() > self._silent_intervals * interval_s:
                self._announced[flask] = newest.frame_id
                found.append(
                    FlaskSilent(
                        flask=flask,
                        last_frame_id=newest.frame_id,
                        last_acquired_at=newest.acquired_at,
                        observed_at=now,
                        expected_interval_s=interval_s,
                    )
                )
        return found
