"""The services' clock: the machine's own, or a faster one that the demo and replays run on."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Protocol

from monitor.errors import SettingsError

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


def make_clock(settings: "ClockSettings") -> Clock:
    """Return the clock that the settings ask for."""
    if settings.speed == 1.0 and settings.origin is None:
        return SystemClock()
    if settings.origin is None or settings.started is None:
        message = "clock: a speed other than 1 needs `clock.origin` and `clock.started`; leave all three out otherwise"
        raise SettingsError(message, reason="clock")
    return ScaledClock(settings.origin, settings.started, settings.speed)
