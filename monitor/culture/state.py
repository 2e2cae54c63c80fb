"""The rolling state of one flask: a fold over its rows, one step per row, constant memory."""

import math
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from monitor.culture.alarms import Alarm, Evidence, event_id_of
from monitor.culture.baseline import Baseline
from monitor.culture.rows import CultureRow, FrameRow, SilenceRow, fold_order
from monitor.culture.settings import CultureSettings
from monitor.culture.window import RollingWindow
from monitor.drift.base import Detection
from monitor.drift.cusum import LowerCusum
from monitor.messages import AlarmChanged, Channel, DriftDetected, EstimateState, RollingEstimate

FOCUS_SD = 0.05
"""Prior deviation of the logarithm of focus from frame to frame."""
FOCUS_LIMIT = 4.0
OPTICAL_REASONS = frozenset(("out_of_focus", "saturated"))


@dataclass(frozen=True, slots=True)
class Step:
    """What one row brought: the rolling estimate after it, drift events, alarm events."""

    rolling: RollingEstimate
    drifts: tuple[DriftDetected, ...] = ()
    alarms: tuple[AlarmChanged, ...] = ()


class _Run:
    """Counts bad and good frames in a row, with the time of the first bad one."""

    def __init__(self) -> None:
        self.bad = 0
        self.good = 0
        self.since: datetime | None = None

    def note(self, bad: bool, at: datetime) -> None:
        """Take the next frame."""
        if bad:
            self.since = at if self.bad == 0 else self.since
            self.bad, self.good = self.bad + 1, 0
        else:
            self.bad, self.good = 0, self.good + 1


class FlaskState:
    """Fold of one flask; feed rows in the order of `fold_order`.

    The channels are kept apart: while optics, segmentation or arrival is in trouble, frames are not shown to the
    potency detector, so that a loss of focus never reads as a loss of potency.
    """

    def __init__(self, flask: str, settings: CultureSettings) -> None:
        self._flask = flask
        self._settings = settings
        self._window = RollingWindow(settings.window_frames)
        self._focus = Baseline(settings.baseline_frames, FOCUS_SD)
        self._potency = Baseline(settings.baseline_frames, settings.baseline_sd)
        self._cusum = LowerCusum(settings.cusum_reference_k, settings.cusum_limit_h)
        self._fed: deque[datetime] = deque(maxlen=512)
        self._runs = {Channel.OPTICS: _Run(), Channel.SEGMENTATION: _Run()}
        self._alarms = {channel: Alarm(flask, channel) for channel in Channel}

    def step(self, row: CultureRow) -> Step:
        """Take the next row."""
        if isinstance(row, SilenceRow):
            return Step(self._window.estimate(), alarms=tuple(self._silence(row)))
        alarms = self._alarms[Channel.ARRIVAL].clear(_evidence(row, row.at, "frames arrive again"))
        blurred = self._is_blurred(row)
        alarms += self._upstream(Channel.OPTICS, blurred, row, self._optics_cause(row))
        # what is out of focus cannot be read either: optics names the cause, segmentation stays quiet
        unread = row.quality.reason == "not_understood" and not blurred and not self._alarms[Channel.OPTICS].active
        cause = f"the network cannot read the images: doubt {row.quality.doubt:.2f}"
        alarms += self._upstream(Channel.SEGMENTATION, unread, row, cause)
        drifts: list[DriftDetected] = []
        if row.estimate.state is EstimateState.OK and not blurred and not unread and not self._inhibited():
            self._window.add(row.at, row.estimate)
            drifts, raised = self._potency_step(row)
            alarms += raised
        return Step(self._window.estimate(), tuple(drifts), tuple(alarms))

    def _silence(self, row: SilenceRow) -> list[AlarmChanged]:
        silent = row.silent
        minutes = (silent.observed_at - silent.last_acquired_at).total_seconds() / 60.0
        cause = (
            f"no frame for {minutes:.0f} min, {silent.expected_interval_s / 60.0:.0f} min apart were expected; "
            f"the last one is of {silent.last_acquired_at:%Y-%m-%d %H:%M} UTC"
        )
        evidence = Evidence(row.row_id, silent.last_frame_id, row.at, silent.last_acquired_at, cause)
        return self._alarms[Channel.ARRIVAL].raise_(evidence)

    def _inhibited(self) -> bool:
        return any(self._alarms[channel].active for channel in (Channel.OPTICS, Channel.SEGMENTATION))

    def _is_blurred(self, row: FrameRow) -> bool:
        if row.quality.reason in OPTICAL_REASONS:
            return True
        if row.n_cells < self._settings.min_cells or row.quality.focus <= 0.0:
            return False  # too little is there to judge focus on
        value = math.log(row.quality.focus)
        if not self._focus.ready:
            self._focus.learn(value)
            return False
        fell = value - self._focus.centre < math.log(1.0 - self._settings.focus_drop)
        return fell and self._focus.standardised(value) < -FOCUS_LIMIT

    def _optics_cause(self, row: FrameRow) -> str:
        if row.quality.reason == "saturated":
            return f"{100 * row.quality.saturated_fraction:.0f} % of the pixels are at the camera's limit"
        if not self._focus.ready:
            return f"focus {row.quality.focus:.3f} is too low to see the cells"
        usual = math.exp(self._focus.centre)
        return f"focus fell to {100 * row.quality.focus / usual:.0f} % of this flask's usual sharpness"

    def _upstream(self, channel: Channel, bad: bool, row: FrameRow, cause: str) -> list[AlarmChanged]:
        run, alarm = self._runs[channel], self._alarms[channel]
        run.note(bad, row.at)
        if run.bad >= self._settings.raise_after_frames and run.since is not None:
            return alarm.raise_(_evidence(row, run.since, cause))
        if run.good >= self._settings.clear_after_frames:
            return alarm.clear(_evidence(row, row.at, f"back to normal for {run.good} frames"))
        return []

    def _potency_step(self, row: FrameRow) -> tuple[list[DriftDetected], list[AlarmChanged]]:
        value = row.estimate.potency
        assert value is not None
        if not self._potency.ready:
            self._potency.learn(value)
            return [], []
        self._fed.append(row.at)
        found = self._cusum.update(self._potency.standardised(value))
        if found is None or self._alarms[Channel.POTENCY].active:
            return [], []
        onset = self._fed[-min(found.since, len(self._fed))]
        rolling = self._window.estimate().potency
        cause = (
            f"potency fell: this frame {value:.0f} %, rolling {rolling:.0f} %, this flask's baseline "
            f"{self._potency.centre:.0f} % ± {self._potency.sd:.0f}; falling since {onset:%Y-%m-%d %H:%M} UTC"
        )
        alarms = self._alarms[Channel.POTENCY].raise_(_evidence(row, onset, cause))
        return [self._drift(row, found)], alarms

    def _drift(self, row: FrameRow, found: Detection) -> DriftDetected:
        return DriftDetected(
            event_id=event_id_of(self._flask, Channel.POTENCY, self._cusum.name, row.row_id),
            flask=self._flask,
            channel=Channel.POTENCY,
            detector=self._cusum.name,
            frame_id=row.frame_id,
            at=row.at,
            statistic=found.statistic,
            limit=found.limit,
            provisional=self._potency.provisional,
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
