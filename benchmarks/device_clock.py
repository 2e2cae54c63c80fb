"""Times on a device by its own clock, and a bound on how long a part of a benchmark may take."""

import signal
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType

import torch

Call = Callable[[], object]


class OutOfTime(BaseException):
    """A part took longer than it may; no `Exception`, so that nothing on the way down takes it for its own failure."""


@dataclass(frozen=True, slots=True)
class Clock:
    """Times calls in turns.

    device: `cuda` by events on the current stream, `cpu` by the process's clock; warm: calls that are not counted;
    rounds: at most so many; each: calls in a row within a round, none of which waits for the one before.
    """

    device: str
    warm: int = 10
    rounds: int = 20
    each: int = 5

    def in_turns(self, calls: Mapping[str, Call], *, at_most_s: float) -> dict[str, list[float]]:
        """Return the seconds of a call, for each name one from every round; at least one round is run."""
        for call in calls.values():
            for _ in range(self.warm):
                call()
        times: dict[str, list[float]] = {name: [] for name in calls}
        names = list(calls)
        started = time.perf_counter()
        for turn in range(self.rounds):
            first = turn % len(names)
            for name in names[first:] + names[:first]:
                times[name].append(self._one(calls[name]))
            if time.perf_counter() - started > at_most_s:
                break
        return times

    def _one(self, call: Call) -> float:
        if self.device == "cpu":
            started = time.perf_counter()
            for _ in range(self.each):
                call()
            return (time.perf_counter() - started) / self.each
        begun, ended = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        begun.record()
        for _ in range(self.each):
            call()
        ended.record()
        torch.cuda.synchronize()
        return 1e-3 * begun.elapsed_time(ended) / self.each


@contextmanager
def at_most(seconds: float) -> Iterator[None]:
    """Raise `OutOfTime` in this block when it takes longer; a kernel that is running is not interrupted."""

    def ring(_: int, __: FrameType | None) -> None:
        raise OutOfTime

    before = signal.signal(signal.SIGALRM, ring)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0.0)
        signal.signal(signal.SIGALRM, before)
