"""Flasks that stopped sending, as the ingester's clock sees it."""

from collections.abc import Mapping
from datetime import datetime

from monitor.messages import FlaskSilent, FrameArrived
from services.store.ledger import TIME_POINTS_KEPT
from services.store.ledger_row import LastArrival, Series, median_gap_s


class SilenceWatch:
    """Knows each flask's newest arrival and rhythm, and says that nothing came.

    Silence counts from the arrival of the newest frame, not from its acquisition, so that an old series that is
    played again is not silent from the start.

    Parameters
    ----------
    expected_interval_s
        Time between frames of a position; None learns it from each flask's own frames.
    silent_intervals
        So many intervals without a frame are a silence.
    arrivals
        What the ledger knows from before.
    """

    def __init__(
        self, expected_interval_s: float | None, silent_intervals: float, arrivals: Mapping[str, LastArrival]
    ) -> None:
        self._expected_interval_s = expected_interval_s
        self._silent_intervals = silent_intervals
        self._newest = {flask: (last.arrived_at, last.frame_id, last.acquired_at) for flask, last in arrivals.items()}
        self._moments: dict[str, dict[Series, list[datetime]]] = {
            flask: {series: list(moments) for series, moments in last.moments.items()}
            for flask, last in arrivals.items()
        }
        self._learned: dict[str, float | None] = {}
        self._told: dict[str, str] = {}

    def note(self, frame: FrameArrived) -> None:
        """Take a frame into account."""
        flask, series = frame.key.flask, (frame.key.position, frame.key.channel)
        moments = self._moments.setdefault(flask, {}).setdefault(series, [])
        if frame.acquired_at not in moments:
            moments.append(frame.acquired_at)
            moments.sort()
            del moments[:-TIME_POINTS_KEPT]
            self._learned.pop(flask, None)
        arrival = (frame.arrived_at, frame.frame_id, frame.acquired_at)
        self._newest[flask] = max(arrival, self._newest.get(flask, arrival))

    def interval_s(self, flask: str) -> float | None:
        """Return the expected time between frames: as set, or learned once a position has four time points."""
        if self._expected_interval_s is not None:
            return self._expected_interval_s
        if flask not in self._learned:
            self._learned[flask] = median_gap_s(self._moments.get(flask, {}).values())
        return self._learned[flask]

    def silent(self, now: datetime) -> list[FlaskSilent]:
        """Return the flasks that are silent and of which that was not told since their newest frame."""
        found = []
        for flask, (arrived_at, frame_id, acquired_at) in self._newest.items():
            # what arrived last was not always taken last
            acquired_at = max((moments[-1] for moments in self._moments[flask].values()), default=acquired_at)
            interval_s = self.interval_s(flask)
            if interval_s is None or self._told.get(flask) == frame_id:
                continue
            if (now - arrived_at).total_seconds() > self._silent_intervals * interval_s:
                found.append(
                    FlaskSilent(
                        flask=flask,
                        last_frame_id=frame_id,
                        last_acquired_at=acquired_at,
                        observed_at=now,
                        expected_interval_s=interval_s,
                    )
                )
        return found

    def told(self, silence: FlaskSilent) -> None:
        """Note that a silence was announced; it is announced once."""
        self._told[silence.flask] = silence.last_frame_id
