"""Waiting for a queue that refuses or is away: jittered, growing, logged once per change."""

import random
import threading
from typing import Any

FIRST_S = 0.2
MOST_S = 30.0


class Backoff:
    """Pauses that grow while trouble lasts and start small again when it is over."""

    def __init__(self, log: Any) -> None:  # noqa: ANN401 (structlog's loggers have no common type)
        self._log = log
        self._pause_s = FIRST_S
        self._waiting = False

    def wait(self, stop: threading.Event, why: str) -> bool:
        """Wait a while; True when `stop` was set meanwhile."""
        if not self._waiting:
            self._log.warning("back_pressure", why=why)
        self._waiting = True
        stopped = stop.wait(self._pause_s * random.uniform(0.5, 1.0))
        self._pause_s = min(self._pause_s * 2.0, MOST_S)
        return stopped

    def over(self) -> None:
        """Say that it works again."""
        if self._waiting:
            self._log.info("back_pressure_over")
        self._waiting = False
        self._pause_s = FIRST_S
