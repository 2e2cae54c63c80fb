"""Repeated measurements as a median with their 5-95 % span, and two ways to the same end as a ratio."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np


@dataclass(frozen=True, slots=True)
class Spread:
    """Median, fifth and ninety-fifth percentile of so many repeats, all in one unit."""

    median: float
    low: float
    high: float
    repeats: int

    @classmethod
    def of(cls, values: Sequence[float]) -> "Spread":
        """Return the spread of at least one value.

        >>> Spread.of([2.0, 1.0, 3.0]).median
        2.0
        """
        low, median, high = (float(value) for value in np.percentile(np.asarray(values), [5, 50, 95]))
        return cls(median, low, high, len(values))

    def scaled(self, factor: float) -> "Spread":
        """Return the same in another unit."""
        return Spread(factor * self.median, factor * self.low, factor * self.high, self.repeats)


def measure(name: str, ours: Sequence[float], peer: Sequence[float], *, against: str, version: str) -> dict[str, Any]:
    """Return one measure from paired times in seconds: how many times faster ours is, and what that was measured with.

    The keys are those of the reports under `benchmarks/`.
    """
    ratio = Spread.of(np.array(peer) / np.array(ours))
    return {
        "name": name,
        "ratio": round(ratio.median, 3),
        "low": round(ratio.low, 3),
        "high": round(ratio.high, 3),
        "ms": round(1000.0 * float(np.median(ours)), 4),
        "peer_ms": round(1000.0 * float(np.median(peer)), 4),
        "peer": against,
        "peer_version": version,
        "repeats": len(ours),
    }
