"""The heartbeat: says that a worker lives and moves; silent when it hangs, so that its work is taken over."""

import threading
import time
from types import TracebackType
from typing import Self

from monitor.errors import BackPressure
from services.settings import DeliverySettings
from services.transport.bus import Bus

MISSED_BEATS = 3.0
JOIN_S = 2.0
GONE_S = 0.0


class Heartbeat:
    """A thread that beats while the loop makes progress; used as a context.

    Warming up needs no progress: a worker holds nothing yet. On leaving, the last beat ends the life at once, so that
    whatever the worker still holds can be claimed without waiting.
    """

    def __init__(self, bus: Bus, settings: DeliverySettings) -> None:
        self._bus = bus
        self._settings = settings
        self._stop = threading.Event()
        self._status = {"state": "warming"}
        self._described: dict[str, str] = {}
        self._progress: float | None = None
        self._thread = threading.Thread(target=self._run, name="heartbeat", daemon=True)

    def __enter__(self) -> Self:
        self._status, self._progress = {"state": "warming"}, None
        self._beat()
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        self._thread.join(JOIN_S)
        if not self._thread.is_alive():  # else it waits for a server that is away
            self._status = {"state": "stopped"}
            self._beat(GONE_S)

    def ready(self, described: dict[str, str]) -> None:
        """Say that warming up is over, and what runs: from here on the loop has to show progress."""
        self._described = described
        self.progressed(done=0)
        self._beat()

    def progressed(self, *, done: int, state: str = "running") -> None:
        """Note that the loop moves; `done` inputs were settled so far."""
        self._status = {"state": state, "done": str(done), **self._described}
        self._progress = time.monotonic()

    def _run(self) -> None:
        while not self._stop.wait(self._settings.beat_s):
            # a loop that hangs loses its lease: others take its work over
            if self._progress is None or time.monotonic() - self._progress < self._settings.claim_idle_s:
                self._beat()

    def _beat(self, ttl_s: float | None = None) -> None:
        try:
            self._bus.beat(self._status, MISSED_BEATS * self._settings.beat_s if ttl_s is None else ttl_s)
        except BackPressure:
            return  # the loop meets the same trouble and says so
