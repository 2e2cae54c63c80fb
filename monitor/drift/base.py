"""What every detector is: fed one standardised value at a time, it returns a detection or nothing."""

from dataclasses import dataclass
from enum import StrEnum


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
