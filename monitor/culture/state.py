"""The rolling state of one flask: a fold over its rows, one step per row, constant memory."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from monitor.culture.alarms import Alarm, Delay, Evidence, event_id_of
from monitor.culture.floor import FloorWatch
from monitor.culture.legibility import unreadable
from monitor.culture.morphology import MorphologyWatch
from monitor.culture.operator import act, said
from monitor.culture.optics import OpticsWatch
from monitor.culture.potency import PotencyWatch
from monitor.culture.rows import ConditionRow, CultureRow, FrameRow, OperatorRow, SilenceRow, fold_order
from monitor.culture.rules import UPSTREAM, rules_by_channel
from monitor.culture.scene import FrozenWatch, PositionsWatch
from monitor.culture.settings import CultureSettings
from monitor.culture.standing import AlarmStanding, AlarmTransition
from monitor.culture.window import RollingWindow
from monitor.drift.base import Detection
from monitor.messages import (
    AlarmChanged,
    AlarmStatus,
    Channel,
    DriftDetected,
    EstimateState,
    OperatorAction,
    RollingEstimate,
)

SHOWN = 5
HOUR_S = 3600.0
DELAYED = (Channel.OPTICS, Channel.SEGMENTATION, Channel.MORPHOLOGY, Channel.POTENCY)


@dataclass(frozen=True, slots=True)
class Step:
    """What one row brought: the rolling estimate after it, drift events, alarm events, and where alarms came to stand.

    alarms: what a person should hear of; counted: whether it is a frame that went into the rolling estimate;
    transitions: everything that happened to alarms, for the audit log.
    """

    rolling: RollingEstimate
    drifts: tuple[DriftDetected, ...] = ()
    alarms: tuple[AlarmChanged, ...] = ()
    counted: bool = False
    transitions: tuple[AlarmTransition, ...] = ()


class FlaskState:
    """Fold of one flask; feed rows in the order of `fold_order`.

    The channels are kept apart: while optics or segmentation is in trouble, frames are not shown to the potency
    detector, so that a loss of focus never reads as a loss of potency.
    """

    def __init__(self, flask: str, settings: CultureSettings) -> None:
        self._flask = flask
        self._settings = settings
        self._window = RollingWindow(settings.window_frames, settings.min_fields)
        self._optics = OpticsWatch(settings)
        self._potency = PotencyWatch(settings)
        self._floor = FloorWatch(settings)
        self._positions = PositionsWatch(settings.missing_after_rounds)
        self._frozen = FrozenWatch(settings.frozen_frames)
        self._morphology = MorphologyWatch(settings.reference, settings.window_frames, settings.morphology_rate)
        self._first_at: datetime | None = None
        self._delays = {channel: Delay() for channel in DELAYED}
        self._moves: list[AlarmTransition] = []
        rules = rules_by_channel(settings.rules)
        self._alarms = {channel: Alarm(flask, channel, rule, self._moves) for channel, rule in rules.items()}
        self._in_trouble: frozenset[Channel] = frozenset()
        self._last: FrameRow | None = None

    def status(self, channel: Channel) -> AlarmStatus:
        """Return where the alarm of a channel stands."""
        return self._alarms[channel].status

    @property
    def potency(self) -> PotencyWatch:
        """The potency detector as it stands, to be looked at."""
        return self._potency

    def standings(self) -> tuple[AlarmStanding, ...]:
        """Return the alarms that are not normal, in the order of their channels."""
        found = (alarm.standing() for alarm in self._alarms.values())
        return tuple(standing for standing in found if standing is not None)

    def step(self, row: CultureRow) -> Step:
        """Take the next row."""
        drifts: list[DriftDetected] = []
        counted = False
        events = self._shelves_that_end(row)
        if isinstance(row, FrameRow):
            drifts, alarms, counted = self._frame(row)
            events += alarms
        elif isinstance(row, SilenceRow):
            events += self._silence(row)
        else:
            events += self._condition(row) if isinstance(row, ConditionRow) else self._act(row)
        self._inhibit(row)
        if events:
            # several events of one alarm in one step all say where it stands after the step
            events = [event.model_copy(update={"status": self.status(event.channel)}) for event in events]
        moves = tuple(self._moves)
        self._moves.clear()
        return Step(self._window.estimate(), tuple(drifts), tuple(events), counted, moves)

    def _frame(self, row: FrameRow) -> tuple[list[DriftDetected], list[AlarmChanged], bool]:
        self._last = row
        alarms = self._alarms[Channel.ARRIVAL].clear(_evidence(row, row.at, "frames arrive again"))
        alarms += self._scene(row)
        drifts, upstream, usable = self._look(row)
        alarms += upstream
        if usable:
            alarms += self._morphology_step(row)
        counted = usable and row.estimate.state is EstimateState.OK
        if counted:
            self._window.add(row.at, row.estimate, row.key.position)
            found, raised = self._potency_step(row)
            drifts, alarms = drifts + found, alarms + raised
        return drifts, alarms, counted

    def _morphology_step(self, row: FrameRow) -> list[AlarmChanged]:
        if row.n_cells < self._settings.min_cells:
            return []
        self._first_at = self._first_at or row.at
        hour = row.hours if row.hours is not None else (row.at - self._first_at).total_seconds() / HOUR_S
        unlike = self._morphology.judge(hour, row.features, active=self._alarms[Channel.MORPHOLOGY].active)
        return self._delayed(Channel.MORPHOLOGY, unlike.bad, row, unlike.cause)

    def _scene(self, row: FrameRow) -> list[AlarmChanged]:
        """Look whether all positions come, and whether their pictures change."""
        missing = self._positions.note(row)
        events = self._missing(row, missing)
        self._frozen.note(row)
        return events + self._freeze(row, row.frame_id)

    def _missing(self, row: CultureRow, missing: Sequence[str]) -> list[AlarmChanged]:
        alarm = self._alarms[Channel.POSITIONS]
        cause = f"no frame of {', '.join(missing[:SHOWN])} while the other positions went on"
        evidence = Evidence(row.row_id, self._last_frame_id, row.at, row.at, cause if missing else "all positions come")
        return alarm.raise_(evidence) if missing else alarm.clear(evidence)

    def _freeze(self, row: CultureRow, frame_id: str | None, since: datetime | None = None) -> list[AlarmChanged]:
        alarm, frozen = self._alarms[Channel.FROZEN], sorted(self._frozen.frozen)
        cause = (
            f"the picture of {', '.join(frozen[:SHOWN])} is the same again and again" if frozen else "pictures change"
        )
        evidence = Evidence(row.row_id, frame_id, row.at, since or row.at, cause)
        return alarm.raise_(evidence) if frozen else alarm.clear(evidence)

    def _condition(self, row: ConditionRow) -> list[AlarmChanged]:
        seen = row.observed
        if seen.channel is Channel.FROZEN and seen.position is not None:
            self._frozen.told(seen.position)
            return self._freeze(row, self._last_frame_id, seen.since)
        alarm = self._alarms.get(seen.channel)
        if alarm is None:
            return []
        evidence = Evidence(row.row_id, self._last_frame_id, row.at, seen.since, seen.what)
        return alarm.raise_(evidence) if seen.bad else alarm.clear(evidence)

    def _shelves_that_end(self, row: CultureRow) -> list[AlarmChanged]:
        events = []
        for alarm in self._alarms.values():
            if alarm.shelved_until is not None and row.at >= alarm.shelved_until:
                cause = f"its time on the shelf was over at {alarm.shelved_until:%Y-%m-%d %H:%M} UTC"
                events += alarm.unshelve(Evidence(row.row_id, self._last_frame_id, row.at, row.at, cause))
        return events

    def _act(self, row: OperatorRow) -> list[AlarmChanged]:
        acted = row.acted
        alarm = self._alarms.get(acted.channel)
        if alarm is None:
            return []
        events = act(alarm, acted, Evidence(row.row_id, self._last_frame_id, row.at, row.at, said(acted), acted.by))
        if events and acted.action is OperatorAction.ACKNOWLEDGE:
            if acted.channel is Channel.POTENCY:
                self._potency.acknowledge()
            if acted.channel is Channel.POSITIONS:
                self._positions.forget()
                events += self._missing(row, [])
        return events

    def _inhibit(self, row: CultureRow) -> None:
        """Note which channels cannot be judged because one above them is in trouble."""
        in_trouble = frozenset(channel for channel, alarm in self._alarms.items() if alarm.active)
        if in_trouble == self._in_trouble:
            return
        self._in_trouble = in_trouble
        for channel, above in UPSTREAM.items():
            inhibitor = next((one for one in above if one in in_trouble), None)
            why = f"{inhibitor} is in trouble" if inhibitor else "the channels above are in order again"
            self._alarms[channel].inhibit(inhibitor, Evidence(row.row_id, self._last_frame_id, row.at, row.at, why))

    @property
    def _last_frame_id(self) -> str | None:
        return self._last.frame_id if self._last is not None else None

    def _silence(self, row: SilenceRow) -> list[AlarmChanged]:
        silent = row.silent
        minutes = (silent.observed_at - silent.last_acquired_at).total_seconds() / 60.0
        cause = (
            f"no frame for {minutes:.0f} min, {silent.expected_interval_s / 60.0:.0f} min apart were expected; "
            f"the last one is of {silent.last_acquired_at:%Y-%m-%d %H:%M} UTC"
        )
        alarm, last = self._alarms[Channel.ARRIVAL], self._last
        events = alarm.raise_(Evidence(row.row_id, silent.last_frame_id, row.at, silent.last_acquired_at, cause))
        if last is not None and last.at > silent.last_acquired_at:
            late = f"frames of the silent time came after all, up to {last.at:%Y-%m-%d %H:%M} UTC"
            events += alarm.clear(Evidence(row.row_id, last.frame_id, row.at, silent.last_acquired_at, late))
        return events

    def _look(self, row: FrameRow) -> tuple[list[DriftDetected], list[AlarmChanged], bool]:
        """Judge what the frame shows; return drifts and alarms of the upstream channels, and whether to go on."""
        optics, segmentation = self._alarms[Channel.OPTICS], self._alarms[Channel.SEGMENTATION]
        verdict = self._optics.judge(row, active=optics.active)
        alarms = self._delayed(Channel.OPTICS, verdict.bad, row, verdict.cause)
        drifts = []
        if alarms and verdict.detection is not None:
            drifts.append(self._drift(row, Channel.OPTICS, "shewhart-focus", verdict.detection))
        # what is out of focus cannot be read either: optics names the cause, segmentation is judged neither way
        unseen = (verdict.bad or optics.active) and not row.quality.passes
        cause = unreadable(row.quality, active=segmentation.active)
        unread = None if unseen else bool(cause)
        alarms += self._delayed(Channel.SEGMENTATION, unread, row, cause)
        frozen = self._alarms[Channel.FROZEN].active
        return drifts, alarms, not (verdict.bad or unread or optics.active or segmentation.active or frozen)

    def _delayed(self, channel: Channel, bad: bool | None, row: FrameRow, cause: str) -> list[AlarmChanged]:
        delay, alarm = self._delays[channel], self._alarms[channel]
        delay.note(bad, row.at)
        if delay.bad >= self._settings.raise_after_frames and delay.since is not None:
            return alarm.raise_(_evidence(row, delay.since, cause))
        if delay.good >= self._settings.clear_after_frames:
            return alarm.clear(_evidence(row, row.at, f"back to normal for {delay.good} frames"))
        return []

    def _potency_step(self, row: FrameRow) -> tuple[list[DriftDetected], list[AlarmChanged]]:
        """Judge a frame's potency against what is usual for the flask, and the rolling one against its floor."""
        potency, alarm = row.estimate.potency, self._alarms[Channel.POTENCY]
        assert potency is not None
        crossed = self._floor.crossed(self._window.estimate(), row.at)
        found, since = self._potency.judge(potency, row.at), self._potency.falling_since
        if found is None and not crossed:
            return [], self._potency_back(row, alarm)
        self._delays[Channel.POTENCY].note(True, row.at)
        if alarm.active and not alarm.acknowledged:
            return [], []
        if found is not None and since is not None:
            detector, cause = self._potency.detector, f"potency fell: {self._potency_in_words(potency)}"
            cause += f"; falling since {since:%Y-%m-%d %H:%M} UTC"
        elif crossed and self._floor.since is not None:
            detector, since, found = self._floor.name, self._floor.since, self._floor.found(self._window.estimate())
            cause = f"potency is below its floor of {self._floor.floor:.0f} %: {self._potency_in_words(potency)}"
        else:
            return [], []
        events = alarm.raise_(_evidence(row, since, cause), anew=True)
        return [self._drift(row, Channel.POTENCY, detector, found)], events

    def _potency_in_words(self, potency: float) -> str:
        rolling, watch = self._window.estimate().potency, self._potency
        told = "not assessable" if rolling is None else f"{rolling:.0f} %"
        usual = f"{watch.centre:.0f} % ± {watch.sd:.0f}" if watch.ready else "not learnt yet"
        return f"this frame {potency:.0f} %, rolling {told}, usual for this flask {usual}"

    def _potency_back(self, row: FrameRow, alarm: Alarm) -> list[AlarmChanged]:
        """Count frames that say that potency is back; after some of them the trouble is over."""
        rolling = self._window.estimate().potency
        if not alarm.active or rolling is None:
            return []
        delay = self._delays[Channel.POTENCY]
        delay.note(self._floor.below or not self._potency.back(rolling), row.at)
        if delay.good < self._settings.clear_after_frames:
            return []
        self._potency.reset()
        cause = f"potency is back at {rolling:.0f} %, usual for this flask {self._potency.centre:.0f} %"
        return alarm.clear(_evidence(row, row.at, cause))

    def _drift(self, row: FrameRow, channel: Channel, detector: str, found: Detection) -> DriftDetected:
        watched = self._potency if channel is Channel.POTENCY else self._optics
        return DriftDetected(
            event_id=event_id_of(self._flask, channel, detector, row.row_id),
            flask=self._flask,
            channel=channel,
            detector=detector,
            frame_id=row.frame_id,
            at=row.at,
            statistic=found.statistic,
            limit=found.limit,
            provisional=watched.provisional,
        )


def fold(flask: str, rows: Iterable[CultureRow], settings: CultureSettings) -> list[tuple[CultureRow, Step]]:
    """Return the whole history of a flask: each distinct row in order, with its step.

    Rows may come in any order and more than once; the result is the same.
    """
    distinct = {row.row_id: row for row in rows}
    state = FlaskState(flask, settings)
    return [(row, state.step(row)) for row in sorted(distinct.values(), key=fold_order)]


def _evidence(row: FrameRow, onset_at: datetime, cause: str) -> Evidence:
    return Evidence(row.row_id, row.frame_id, row.at, onset_at, cause)
