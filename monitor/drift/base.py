"""What every detector is: fed one standardised value at a time, it returns a detection or nothing."""

from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Detection:
    """A limit was crossed: statistic and limit in units of the baseline's standard deviation.

    `since` is the number of values since the trouble is believed to have begun, this one included.
    """

    statistic: float
    limit: float
    since: int


class Detector(Protocol):
    """A detector of change in a stream of standardised values (mean 0, deviation 1 in control)."""

    @property
    def name(self) -> str:
        """Name as it stands in events."""

    def update(self, value: float) -> Detection | None:
        """Take the next value; return a detection when the limit is crossed with it."""

    def reset(self) -> None:
        """Start anew, as after an alarm was dealt with."""
