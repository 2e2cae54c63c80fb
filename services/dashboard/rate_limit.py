"""How often somebody may try a password: failures are counted per address, and per name and address."""

import time
from collections import deque
from collections.abc import Callable

from services.dashboard.errors import TooMany

WINDOW_S = 900.0
OF_NAME_AND_ADDRESS, OF_ADDRESS, OF_NAME = 5, 20, 50
"""Failures in the window after which it is refused to try; of a name alone more, lest others keep its owner out."""
PLACES_MOST = 10_000


class SignInRateLimit:
    """Counts failed tries in memory; a restart forgets them.

    >>> pace = SignInRateLimit(clock=lambda: 0.0)
    >>> for _ in range(5): pace.failed("anna", "10.0.0.7")
    >>> pace.check("anna", "10.0.0.8")
    >>> pace.check("anna", "10.0.0.7")
    Traceback (most recent call last):
    services.dashboard.errors.TooMany: too many failed tries; wait 900 s
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._failures: dict[tuple[str, str], deque[float]] = {}

    def check(self, name: str, address: str) -> None:
        """Refuse a try that comes too soon.

        Raises
        ------
        TooMany
            With the seconds to wait.
        """
        now = self._clock()
        waits = [
            failures[-most] + WINDOW_S - now
            for place, most in _places(name, address)
            if len(failures := self._recent(place, now)) >= most
        ]
        if waits:
            error = TooMany(f"too many failed tries; wait {max(waits):.0f} s", reason="too_many")
            error.wait_s = int(max(waits)) + 1
            raise error

    def failed(self, name: str, address: str) -> None:
        """Note a failed try."""
        now = self._clock()
        if len(self._failures) > PLACES_MOST:
            self._failures = {place: kept for place in list(self._failures) if (kept := self._recent(place, now))}
        for place, most in _places(name, address):
            self._failures.setdefault(place, deque(maxlen=most)).append(now)

    def fitted(self, name: str, address: str) -> None:
        """Note that a try fitted: what was counted of this name from this address is forgotten."""
        self._failures.pop((name, address), None)

    def _recent(self, place: tuple[str, str], now: float) -> deque[float]:
        failures = self._failures.get(place, deque())
        while failures and failures[0] <= now - WINDOW_S:
            failures.popleft()
        return failures


def _places(name: str, address: str) -> tuple[tuple[tuple[str, str], int], ...]:
    return ((name, address), OF_NAME_AND_ADDRESS), (("", address), OF_ADDRESS), ((name, ""), OF_NAME)
