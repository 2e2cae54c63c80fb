"""When an alarm of a flask is raised and cleared, and what it tells the person who reads it."""

import hashlib
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from monitor.messages import AlarmChanged, AlarmState, Channel

Priority = Literal["high", "medium", "low"]


@dataclass(frozen=True, slots=True)
class Rule:
    """What an alarm of a channel means: how urgent it is and what to do about it."""

    priority: Priority
    action: str


RULES: dict[Channel, Rule] = {
    Channel.POTENCY: Rule("high", "look at the cells now; take a sample for the assay, or harvest or feed early"),
    Channel.ARRIVAL: Rule("high", "check that the microscope scans this flask and that its folder is reachable"),
    Channel.OPTICS: Rule("medium", "refocus, clean condensation off the flask, check the lamp; potency is paused"),
    Channel.SEGMENTATION: Rule("medium", "look at the overlay; if the images are fine, fine-tune the network on them"),
    Channel.MORPHOLOGY: Rule("medium", "compare the cells with the reference run of the same hour"),
}


@dataclass(frozen=True, slots=True)
class Evidence:
    """What made an alarm change: the row, when it was, since when it is believed to be so, and why, in words."""

    row_id: str
    frame_id: str
    at: datetime
    onset_at: datetime
    cause: str


class Alarm:
    """One channel's alarm of one flask: raised once, cleared once, then ready again."""

    def __init__(self, flask: str, channel: Channel) -> None:
        self._flask = flask
        self._channel = channel
        self._raised: AlarmChanged | None = None

    @property
    def active(self) -> bool:
        """Whether the alarm is raised."""
        return self._raised is not None

    def raise_(self, evidence: Evidence) -> list[AlarmChanged]:
        """Return the event that raises the alarm; nothing when it is raised already."""
        if self._raised is not None:
            return []
        event_id = event_id_of(self._flask, self._channel, AlarmState.RAISED, evidence.row_id)
        self._raised = self._event(AlarmState.RAISED, event_id, event_id, evidence)
        return [self._raised]

    def clear(self, evidence: Evidence) -> list[AlarmChanged]:
        """Return the event that clears the alarm; nothing when it is not raised."""
        if self._raised is None:
            return []
        event_id = event_id_of(self._flask, self._channel, AlarmState.CLEARED, evidence.row_id)
        event = self._event(AlarmState.CLEARED, event_id, self._raised.alarm_id, evidence)
        self._raised = None
        return [event]

    def _event(self, state: AlarmState, event_id: str, alarm_id: str, evidence: Evidence) -> AlarmChanged:
        rule = RULES[self._channel]
        return AlarmChanged(
            event_id=event_id,
            alarm_id=alarm_id,
            flask=self._flask,
            channel=self._channel,
            state=state,
            at=evidence.at,
            frame_id=evidence.frame_id,
            estimated_onset_at=evidence.onset_at,
            priority=rule.priority,
            cause=evidence.cause,
            action=rule.action if state is AlarmState.RAISED else "nothing to do",
        )


class Delay:
    """On- and off-delay: counts bad and good frames in a row, with the time of the first bad one."""

    def __init__(self) -> None:
        self.bad = 0
        self.good = 0
        self.since: datetime | None = None

    def note(self, bad: bool | None, at: datetime) -> None:
        """Take the next frame; one that could not be judged (None) changes nothing."""
        if bad:
            self.since = at if self.bad == 0 else self.since
            self.bad, self.good = self.bad + 1, 0
        elif bad is not None:
            self.bad, self.good = 0, self.good + 1


def event_id_of(*parts: str) -> str:
    """Return the digest that names an event: the same history gives the same ids."""
    return hashlib.sha256("\x1f".join(parts).encode()).hexdigest()[:32]
