"""One channel's alarm of one flask as a state machine after ISA-18.2 / IEC 62682, and the delays before it.

What happened to the trouble (`raise_`, `clear`) and what an operator did (`acknowledge`, `shelve`, ...) are kept apart;
where the alarm stands follows from both. Every change of where it stands is noted as an `AlarmTransition`, the silent
ones too; what a person should hear of is returned as `AlarmChanged`.
"""

import hashlib
from dataclasses import dataclass
from datetime import datetime, timedelta

from monitor.culture.rules import RULES, AlarmRule
from monitor.culture.standing import AlarmStanding, AlarmTransition
from monitor.messages import AlarmChanged, AlarmState, AlarmStatus, Channel

ITSELF = "cellvigil"
"""Who did what no operator did."""


@dataclass(frozen=True, slots=True)
class Evidence:
    """What made an alarm change: the row, when it was, since when it is believed to be so, why, in words, and who."""

    row_id: str
    frame_id: str | None
    at: datetime
    onset_at: datetime
    cause: str
    by: str = ITSELF


class Alarm:
    """One channel's alarm of one flask.

    Parameters
    ----------
    rule
        What it means; the shipped rule of the channel when None.
    moves
        Where transitions are noted; a list of its own when None.
    """

    __slots__ = (
        "_acknowledged",
        "_channel",
        "_flask",
        "_hidden",
        "_inhibitor",
        "_last",
        "_out",
        "_raised",
        "_rule",
        "_status",
        "active",
        "moves",
        "shelved_until",
    )

    def __init__(
        self, flask: str, channel: Channel, rule: AlarmRule | None = None, moves: list[AlarmTransition] | None = None
    ) -> None:
        self._flask = flask
        self._channel = channel
        self._rule = rule or RULES[channel]
        self.moves: list[AlarmTransition] = [] if moves is None else moves
        self.active = False
        """Whether the trouble is there, whatever anybody did about it."""
        self.shelved_until: datetime | None = None
        self._raised: AlarmChanged | None = None
        self._acknowledged = False
        self._hidden: Evidence | None = None
        self._out = False
        self._inhibitor: Channel | None = None
        self._status = AlarmStatus.NORMAL
        self._last: AlarmTransition | None = None

    @property
    def status(self) -> AlarmStatus:
        """Where the alarm stands."""
        if self._out:
            return AlarmStatus.OUT_OF_SERVICE
        if self.shelved_until is not None:
            return AlarmStatus.SHELVED
        if self._raised is not None:
            return self._standing()
        return AlarmStatus.SUPPRESSED if self._inhibitor is not None else AlarmStatus.NORMAL

    @property
    def acknowledged(self) -> bool:
        """Whether somebody has said that he knows of the alarm that stands."""
        return self._acknowledged

    def raise_(self, evidence: Evidence, *, anew: bool = False) -> list[AlarmChanged]:
        """Note that the trouble is there; return the event that raises the alarm, nothing when it is raised already.

        With `anew` an acknowledged alarm is raised again: the trouble was found a second time.
        """
        was, self.active = self.active, True
        if self._muted:
            if not (was and self._raised is not None):
                self._hidden = self._hidden or evidence
            return []
        stands = self._raised
        if stands is not None and not was and self._rule.latching:
            return self._noted([], evidence)
        if stands is not None and was and not (anew and self._acknowledged):
            return []
        same = stands.alarm_id if stands is not None and was else None
        return self._raise(evidence, same)

    def clear(self, evidence: Evidence) -> list[AlarmChanged]:
        """Note that the trouble is over; return the event that clears the alarm.

        Nothing when there was none, and nothing for a latching alarm that nobody has acknowledged: it stands.
        """
        if not self.active:
            return []
        self.active, self._hidden = False, None
        if self._raised is None or (self._rule.latching and not self._acknowledged):
            return self._noted([], evidence)
        event = self._event(AlarmState.CLEARED, evidence)
        if self._acknowledged:
            self._raised, self._acknowledged = None, False
        return self._noted([event], evidence)

    def acknowledge(self, evidence: Evidence) -> list[AlarmChanged]:
        """Note that an operator knows; an alarm whose trouble is over is done with then."""
        if self._raised is None or self._acknowledged:
            return []
        events = [self._event(AlarmState.ACKNOWLEDGED, evidence)]
        self._acknowledged = True
        if not self.active:
            if self._rule.latching:
                events.append(self._event(AlarmState.CLEARED, evidence))
            self._raised, self._acknowledged = None, False
        return self._noted(events, evidence)

    def shelve(self, evidence: Evidence, until: datetime) -> list[AlarmChanged]:
        """Put the alarm aside until a time: nobody is told of it before."""
        if self._out:
            return []
        event = self._event(AlarmState.SHELVED, evidence)
        self.shelved_until = until
        return self._noted([event], evidence)

    def unshelve(self, evidence: Evidence) -> list[AlarmChanged]:
        """Take the alarm back from the shelf; trouble that came meanwhile is told now."""
        if self.shelved_until is None:
            return []
        event = self._event(AlarmState.UNSHELVED, evidence)
        self.shelved_until = None
        return self._back([event], evidence)

    def take_out(self, evidence: Evidence) -> list[AlarmChanged]:
        """Take the alarm out of service, for as long as the operator wants."""
        if self._out:
            return []
        event = self._event(AlarmState.OUT_OF_SERVICE, evidence)
        self._out, self.shelved_until = True, None
        return self._noted([event], evidence)

    def bring_back(self, evidence: Evidence) -> list[AlarmChanged]:
        """Bring the alarm back into service; trouble that came meanwhile is told now."""
        if not self._out:
            return []
        event = self._event(AlarmState.IN_SERVICE, evidence)
        self._out = False
        return self._back([event], evidence)

    def inhibit(self, inhibitor: Channel | None, evidence: Evidence) -> None:
        """Note that a channel above is in trouble, or none any more: this one cannot be judged meanwhile."""
        if inhibitor is not self._inhibitor:
            self._inhibitor = inhibitor
            self._noted([], evidence)

    def standing(self) -> AlarmStanding | None:
        """Return where the alarm stands and why; None when all is normal."""
        last = self._last
        if last is None or self._status is AlarmStatus.NORMAL:
            return None
        return AlarmStanding(
            flask=self._flask,
            channel=self._channel,
            status=self._status,
            since=last.at,
            by=last.by,
            why=last.why,
            shelved_until=self.shelved_until,
            raised=self._raised,
        )

    @property
    def _muted(self) -> bool:
        return self._out or self.shelved_until is not None

    def _standing(self) -> AlarmStatus:
        if self._acknowledged:
            return AlarmStatus.ACKNOWLEDGED
        if self.active:
            return AlarmStatus.UNACKNOWLEDGED
        return AlarmStatus.LATCHED if self._rule.latching else AlarmStatus.RETURNED_UNACKNOWLEDGED

    def _raise(self, evidence: Evidence, alarm_id: str | None = None) -> list[AlarmChanged]:
        event = self._event(AlarmState.RAISED, evidence, alarm_id or "")
        self._raised, self._acknowledged, self._hidden = event, False, None
        return self._noted([event], evidence)

    def _back(self, events: list[AlarmChanged], evidence: Evidence) -> list[AlarmChanged]:
        hidden = self._hidden
        if hidden is None or not self.active:
            return self._noted(events, evidence)
        told = Evidence(evidence.row_id, hidden.frame_id, evidence.at, hidden.onset_at, hidden.cause)
        return events + self._raise(told)

    def _noted(self, events: list[AlarmChanged], evidence: Evidence) -> list[AlarmChanged]:
        before, self._status = self._status, self.status
        if before is not self._status:
            made_by = (self._flask, self._channel, before, self._status, evidence.row_id, str(len(self.moves)))
            self._last = AlarmTransition(
                transition_id=event_id_of(*made_by),
                flask=self._flask,
                channel=self._channel,
                before=before,
                after=self._status,
                at=evidence.at,
                by=evidence.by,
                why=evidence.cause,
                row_id=evidence.row_id,
            )
            self.moves.append(self._last)
        return [event.model_copy(update={"status": self._status}) for event in events]

    def _event(self, state: AlarmState, evidence: Evidence, alarm_id: str | None = None) -> AlarmChanged:
        event_id = event_id_of(self._flask, self._channel, state, evidence.row_id)
        stands, raised = self._raised, state is AlarmState.RAISED
        by_hand = state not in (AlarmState.RAISED, AlarmState.CLEARED)
        return AlarmChanged(
            event_id=event_id,
            alarm_id=alarm_id or (stands.alarm_id if stands is not None and not raised else event_id),
            flask=self._flask,
            channel=self._channel,
            state=state,
            at=evidence.at,
            frame_id=evidence.frame_id,
            estimated_onset_at=stands.estimated_onset_at if by_hand and stands is not None else evidence.onset_at,
            priority=self._rule.priority,
            cause=evidence.cause,
            action=self._rule.action if raised else "nothing to do",
            by=evidence.by,
            consequence=self._rule.consequence if raised else "",
            respond_by=evidence.at + timedelta(seconds=self._rule.respond_within_s) if raised else None,
        )


class Delay:
    """On- and off-delay: counts bad and good frames in a row, with the time of the first bad one."""

    __slots__ = ("bad", "good", "since")

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
