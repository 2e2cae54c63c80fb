"""What every detector is: fed one standardised value at a time, it returns a detection or nothing."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

DetectorState = tuple[float, ...]
"""All that a detector remembers; finite numbers, so that it can be stored and compared."""


class Sides(StrEnum):
    """Which changes a detector looks for."""

    LOWER = "lower"
    BOTH = "both"


@dataclass(frozen=True, slots=True)
class Detection:
    """A limit was crossed: statistic and limit in units of the baseline's standard deviation, both positive.

    `since` is the number of values since the change is believed to have begun, this one included; `falling` says
    which way it went.
    """

    statistic: float
    limit: float
    since: int
    falling: bool = True


class Detector(Protocol):
    """A detector of change in a stream of standardised values (mean 0, deviation 1 in control)."""

    @property
    def name(self) -> str:
        """Name as it stands in events."""

    def update(self, value: float) -> Detection | None:
        """Take the next value; return a detection when the limit is crossed with it."""

    def reset(self) -> None:
        """Start anew, as after an alarm was dealt with."""

    def snapshot(self) -> DetectorState:
        """Return all that the detector remembers."""

    def restore(self, state: DetectorState) -> None:
        """Go on from a snapshot of a detector with the same settings."""
