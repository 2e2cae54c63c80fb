"""Waiting for a queue that refuses or is away: jittered, growing, logged once per change."""

import random
import threading
from collections.abc import Callable
from typing import Any, TypeVar

from monitor.errors import BackPressure

R = TypeVar("R")

FIRST_S = 0.2
MOST_S = 30.0


class Backoff:
    """Repeats calls that meet back-pressure, with pauses that grow while it lasts and start small again after it.

    Parameters
    ----------
    log
        Told once when trouble begins and once when it is over.
    stop
        Ends the waiting.
    waited
        Called after every pause, to show that the loop is alive.
    """

    def __init__(self, log: Any, stop: threading.Event, waited: Callable[[], None]) -> None:  # noqa: ANN401 (structlog's loggers have no common type)
        self._log = log
        self._stop = stop
        self._waited = waited
        self._pause_s = FIRST_S
        self._waiting = False

    def persist(self, call: Callable[[], R]) -> R | None:
        """Call until it does not meet `BackPressure`; None when `stop` came first."""
        while True:
            try:
                result = call()
            except BackPressure as error:
                if not self._waiting:
                    self._log.warning("back_pressure", why=str(error))
                self._waiting = True
                if self._stop.wait(self._pause_s * random.uniform(0.5, 1.0)):
                    return None
                self._pause_s = min(self._pause_s * 2.0, MOST_S)
                self._waited()
            else:
                self._over()
                return result

    def _over(self) -> None:
        if self._waiting:
            self._log.info("back_pressure_over")
        self._waiting = False
        self._pause_s = FIRST_S
