"""Silences: for some time nobody is told of some alarms, listed all the same; each has an author and an end."""

from collections.abc import Callable, Sequence
from datetime import datetime
from fnmatch import fnmatchcase
from typing import Annotated

from pydantic import AwareDatetime, Field

from monitor.frames.identity import Name
from monitor.messages import AlarmChanged, AlarmState, Channel, Digest, Fact

Quiet = Callable[[AlarmChanged], datetime | None]
"""Until when nobody is to be told of a change; None when at once."""


class Silence(Fact):
    """Nobody is told of what fits, until `until` or until somebody ended it before.

    flasks: a name, or a pattern with `*` and `?`; channel: None is every channel.
    """

    silence_id: Digest
    flasks: Name
    channel: Channel | None
    set_at: AwareDatetime
    until: AwareDatetime
    by: Name
    why: Annotated[str, Field(max_length=1000)]
    ended_at: AwareDatetime | None = None
    ended_by: str | None = None

    def over(self, now: datetime) -> bool:
        """Whether it is over at a time."""
        return now >= self.until or self.ended_at is not None

    def fits(self, event: AlarmChanged) -> bool:
        """Whether a change is what it is about; a test of the way to people never is."""
        if event.state is AlarmState.TESTED or self.channel not in (None, event.channel):
            return False
        return fnmatchcase(event.flask, self.flasks)


def quiet_by(silences: Sequence[Silence], now: datetime) -> Quiet:
    """Return until when changes are not told, by the silences that hold at a time; the longest counts."""
    holding = [silence for silence in silences if not silence.over(now)]
    return lambda event: max((silence.until for silence in holding if silence.fits(event)), default=None)


def nobody_silenced(event: AlarmChanged) -> None:
    """Tell of everything at once."""
