"""The heartbeat: says that a worker lives and moves; silent when it hangs, so that its work is taken over."""

import threading
import time
from types import TracebackType
from typing import Self

from monitor.errors import BackPressure
from services.settings import DeliverySettings
from services.transport.bus import Bus

MISSED_BEATS = 3.0


class Heartbeat:
    """A thread that beats while the loop makes progress; used as a context."""

    def __init__(self, bus: Bus, settings: DeliverySettings) -> None:
        self._bus = bus
        self._settings = settings
        self._stop = threading.Event()
        self._status = {"state": "warming"}
        self._progress: float | None = None
        self._thread = threading.Thread(target=self._run, name="heartbeat", daemon=True)

    def __enter__(self) -> Self:
        self._beat()
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        self._thread.join()

    def ready(self) -> None:
        """Say that warming up is over: from here on the loop has to show progress."""
        self._status = {"state": "running"}
        self._progress = time.monotonic()
        self._beat()

    def progressed(self, *, done: int) -> None:
        """Note a turn of the loop; `done` inputs were settled so far."""
        self._status = {"state": "running", "done": str(done)}
        self._progress = time.monotonic()

    def _run(self) -> None:
        while not self._stop.wait(self._settings.beat_s):
            # a loop that hangs loses its lease: others take its work over
            if self._progress is None or time.monotonic() - self._progress < self._settings.claim_idle_s:
                self._beat()

    def _beat(self) -> None:
        try:
            self._bus.beat(self._status, MISSED_BEATS * self._settings.beat_s)
        except BackPressure:
            return  # the loop meets the same trouble and says so
