"""The services' clock: the machine's own, or a faster one that the demo and replays run on."""

import json
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from monitor.errors import SettingsError
from monitor.whole_file import write_whole

if TYPE_CHECKING:
    from services.settings import ClockSettings


class Clock(Protocol):
    """Says what time it is in the culture's world, in UTC."""

    def now(self) -> datetime:
        """Return the present time, timezone-aware UTC."""


class SystemClock:
    """The machine's clock."""

    def now(self) -> datetime:
        """Return the present time, timezone-aware UTC."""
        return datetime.now(UTC)


@dataclass(frozen=True, slots=True)
class ScaledClock:
    """A clock that stood at `origin` when the machine's clock showed `started`, and runs `speed` times as fast.

    >>> start = datetime(2026, 3, 10, tzinfo=UTC)
    >>> clock = ScaledClock(origin=start, started=datetime.now(UTC) - timedelta(seconds=10), speed=900.0)
    >>> (clock.now() - start) >= timedelta(seconds=9000)
    True
    """

    origin: datetime
    started: datetime
    speed: float

    def now(self) -> datetime:
        """Return the scaled time, timezone-aware UTC."""
        return self.origin + timedelta(seconds=(datetime.now(UTC) - self.started).total_seconds() * self.speed)


class PacedClock:
    """A clock that somebody else leads: it runs `speed` times as fast as the machine's, never past a time in a file.

    The file holds `at`, `since` and `until` (ISO 8601): the clock stood at `at` when the machine's showed `since`,
    and stops at `until` until another file is there. So simulated time waits for a chain that cannot keep up.
    """

    def __init__(self, file: Path, origin: datetime, speed: float) -> None:
        self._file, self._speed = file, speed
        self._stamp: tuple[int, int] | None = None
        self._at = self._since = self._until = origin

    def now(self) -> datetime:
        """Return the time, timezone-aware UTC; `origin` where there is no file yet."""
        self._read()
        ran = (datetime.now(UTC) - self._since).total_seconds() * self._speed
        return min(self._until, self._at + timedelta(seconds=max(0.0, ran)))

    def _read(self) -> None:
        try:
            status = self._file.stat()
            if self._stamp == (status.st_mtime_ns, status.st_ino):
                return
            told = json.loads(self._file.read_text(encoding="utf-8"))
        except OSError:
            return
        self._stamp = (status.st_mtime_ns, status.st_ino)
        self._at, self._since, self._until = (datetime.fromisoformat(told[name]) for name in ("at", "since", "until"))


def lead_clock(file: Path, at: datetime, until: datetime) -> None:
    """Let every `PacedClock` of a file stand at `at` now and run on to `until`."""
    told = {"at": at.isoformat(), "since": datetime.now(UTC).isoformat(), "until": until.isoformat()}
    write_whole(file, json.dumps(told).encode())


def make_clock(settings: "ClockSettings") -> Clock:
    """Return the clock that the settings ask for."""
    if settings.speed == 1.0 and settings.origin is None:
        return SystemClock()
    if settings.pace is not None and settings.origin is not None:
        return PacedClock(settings.pace, settings.origin, settings.speed)
    if settings.origin is None or settings.started is None:
        message = "clock: a speed other than 1 needs `clock.origin` and `clock.started`; leave all three out otherwise"
        raise SettingsError(message, reason="clock")
    return ScaledClock(settings.origin, settings.started, settings.speed)
