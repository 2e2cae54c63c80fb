"""What can be wrong beside the pictures, as the ingester sees it: copies in place of frames, lag, clocks, the disk.

Each trouble is told when it begins and when it is over, and not again between; what stands from before is given.
"""

import shutil
from collections import Counter
from collections.abc import Callable, Iterable
from datetime import datetime, timedelta
from pathlib import Path

from monitor.messages import MACHINE, Channel, ConditionObserved, FrameArrived
from services.settings import HealthSettings
from services.store.ledger_row import LedgerRow

GIB = 1 << 30
FUTURE_FRAMES = 3
"""So many frames in a row must come from the future before a clock is called wrong."""
DISK_BACK = 1.25
"""The disk is in order again with so many times the least room: the deadband."""
LAG_BACK = 0.5
"""Lag is over when the longest wait is down at this part of its limit."""


class HealthWatch:
    """Tells changes for the worse and back.

    Parameters
    ----------
    state
        Folder whose disk is watched.
    standing
        Channels of the machine whose alarms stand from before.
    free
        Gives the free bytes of a folder's disk.
    """

    def __init__(
        self,
        settings: HealthSettings,
        state: Path,
        standing: Iterable[Channel] = (),
        free: Callable[[Path], int] = lambda folder: shutil.disk_usage(folder).free,
    ) -> None:
        self._settings = settings
        self._state = state
        self._free = free
        self._bad: set[Channel] = set(standing)
        self._newest: dict[tuple[str, str], str] = {}
        self._copies: Counter[tuple[str, str]] = Counter()
        self._future = 0

    def note(self, row: LedgerRow, now: datetime) -> list[ConditionObserved]:
        """Take a decided file; return what it changes: a picture that is frozen, a clock that is wrong or right."""
        frame = row.arrived
        if frame is None or row.state not in ("arrived", "duplicate"):
            return []
        if row.state == "duplicate":
            return self._copied(frame, now)
        series = (frame.key.flask, frame.key.position)
        self._newest[series] = frame.frame_id
        self._copies[series] = 0
        return self._clock(frame, now)

    def look(self, now: datetime, longest_wait_s: float) -> list[ConditionObserved]:
        """Return what changed about the machine; `longest_wait_s` is the age of the oldest frame without a result."""
        limit = self._settings.lag_s * (LAG_BACK if Channel.LAG in self._bad else 1.0)
        words = f"the oldest frame without an estimate has waited {longest_wait_s / 60.0:.0f} min"
        since = now - timedelta(seconds=longest_wait_s)
        return self._changed(Channel.LAG, longest_wait_s > limit, words, now, since) + self._disk(now)

    def _copied(self, frame: FrameArrived, now: datetime) -> list[ConditionObserved]:
        series = (frame.key.flask, frame.key.position)
        self._copies[series] += self._newest.get(series) == frame.frame_id
        if self._copies[series] != self._settings.frozen_copies:
            return []
        what = f"{self._settings.frozen_copies} copies of the newest frame of {frame.key.position} came under new names"
        return [
            ConditionObserved(
                flask=frame.key.flask,
                channel=Channel.FROZEN,
                bad=True,
                since=frame.acquired_at,
                observed_at=now,
                what=what,
                position=frame.key.position,
            )
        ]

    def _clock(self, frame: FrameArrived, now: datetime) -> list[ConditionObserved]:
        ahead_s = (frame.acquired_at - frame.arrived_at).total_seconds()
        self._future = self._future + 1 if ahead_s > self._settings.clock_skew_s else 0
        if 0 < self._future < FUTURE_FRAMES:
            return []
        words = (
            f"frames of {frame.key.flask} say that they come from {ahead_s / 60.0:.0f} min in the future"
            if self._future
            else "times of frames fit this machine's clock"
        )
        return self._changed(Channel.CLOCK, self._future > 0, words, now, frame.arrived_at)

    def _disk(self, now: datetime) -> list[ConditionObserved]:
        free = self._free(self._state)
        least = self._settings.disk_least_gib * GIB * (DISK_BACK if Channel.DISK in self._bad else 1.0)
        words = f"{free / GIB:.1f} GiB free on the disk of {self._state}"
        return self._changed(Channel.DISK, free < least, words, now, now)

    def _changed(
        self, channel: Channel, bad: bool, what: str, now: datetime, since: datetime
    ) -> list[ConditionObserved]:
        if bad == (channel in self._bad):
            return []
        self._bad ^= {channel}
        return [ConditionObserved(flask=MACHINE, channel=channel, bad=bad, since=since, observed_at=now, what=what)]
