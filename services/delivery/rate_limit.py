"""How many notifications a receiver gets in a time: single ones first, then groups, and never more than so many.

People who are called thirty times in ten minutes switch the calling off; EEMUA 191 calls ten in ten minutes a flood.
"""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Turn:
    """What may go out next: one letter or a group, and in how many seconds."""

    grouped: bool
    wait_s: float


@dataclass(frozen=True, slots=True)
class RateLimit:
    """At most `most` notifications in any `window_s` seconds; the first `singly` of them go at once and alone.

    >>> pace = RateLimit(most=10, singly=5, window_s=600.0)
    >>> pace.turn([], now=0.0)
    Turn(grouped=False, wait_s=0.0)
    >>> pace.turn([0.0] * 5, now=1.0), pace.turn([0.0] * 6, now=1.0), pace.turn([0.0] * 10, now=1.0)
    (Turn(grouped=True, wait_s=0.0), Turn(grouped=True, wait_s=119.0), Turn(grouped=True, wait_s=599.0))
    """

    most: int
    singly: int
    window_s: float

    def turn(self, sent: Sequence[float], now: float) -> Turn:
        """Return what may go out next.

        Parameters
        ----------
        sent
            When notifications went out, in seconds, ascending; those older than the window do not count.
        """
        recent = [moment for moment in sent if moment > now - self.window_s]
        if len(recent) < self.singly:
            return Turn(grouped=False, wait_s=0.0)
        if len(recent) == self.singly:
            return Turn(grouped=True, wait_s=0.0)
        spaced = recent[-1] + self.window_s / (self.most - self.singly)
        room = recent[-self.most] + self.window_s if len(recent) >= self.most else 0.0
        return Turn(grouped=True, wait_s=max(0.0, spaced - now, room - now))
