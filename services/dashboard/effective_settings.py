"""The settings in force in a state folder, also when a run that begins later leaves others there."""

import threading
import time

from monitor.errors import SettingsError
from services.clock import Clock, make_clock
from services.settings import Settings, settings_of
from services.state_folder import StateFolder
from services.telemetry import get_log

LOOK_S = 1.0


class EffectiveSettings:
    """Gives settings and clock; looks once a second whether a run left others.

    Parameters
    ----------
    given
        The settings of the page, which hold as long as no run has left its own.
    """

    def __init__(self, state: StateFolder, given: Settings) -> None:
        self._state = state
        self._settings = given
        self._clock = make_clock(given.clock)
        self._stamp: tuple[int, int] | None = None
        self._due = 0.0
        self._turn = threading.Lock()
        self._follow()

    @property
    def settings(self) -> Settings:
        """The settings in force."""
        self._follow()
        return self._settings

    @property
    def clock(self) -> Clock:
        """The culture's clock."""
        self._follow()
        return self._clock

    def _follow(self) -> None:
        if time.monotonic() < self._due:
            return
        with self._turn:
            self._due = time.monotonic() + LOOK_S
            left = self._state.settings
            try:
                status = left.stat()
            except OSError:
                return
            stamp = (status.st_mtime_ns, status.st_ino)
            if stamp == self._stamp:
                return
            try:
                settings = settings_of(self._state)
                clock = make_clock(settings.clock)
            except SettingsError as error:
                if self._stamp is None:
                    raise
                get_log("dashboard").warning("settings_not_read", error=str(error), mend="the former ones go on")
                return
            self._settings, self._clock, self._stamp = settings, clock, stamp
