"""Values that hover at a limit, and alarms that should not flutter for it; a fleet that crosses together.

The series is that of the project's alarm tests: a slow wave of 0.03 about the limit with noise of 0.02, 2,000 values. A
plain threshold is crossed 280 times by it; delays and a deadband are what stands between that and an alarm.
"""

import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np

from monitor.culture.rows import FrameRow
from monitor.culture.settings import CultureSettings
from monitor.culture.state import FlaskState
from monitor.frames.identity import FrameKey
from monitor.messages import (
    AlarmChanged,
    AlarmState,
    Channel,
    EstimateState,
    FrameEstimate,
    FrameQuality,
    Provenance,
)
from monitor.segmentation.quality import QualitySettings
from services.delivery.outbox import Outbox
from services.delivery.rate_limit import RateLimit
from services.settings import NotifierSettings

START, STEP = datetime(2026, 3, 10, tzinfo=UTC), timedelta(minutes=15)
SAMPLES, WAVE, PERIOD, NOISE = 2000, 0.03, 1000, 0.02
MADE_BY = Provenance(
    code_version="-", engine="-", engine_digest="-", weights="-", feature_contract="-", potency_model="-",
    calibration="-", configuration="-",
)  # fmt: skip
SHARP = FrameQuality(focus=1.0, illumination=0.05, saturated_fraction=0.0, confluency=0.4, doubt=0.1, passes=True)


def hovering(limit: float, seed: int) -> np.ndarray:
    """Return values about a limit."""
    random = np.random.default_rng(seed)
    return limit + WAVE * np.sin(2.0 * np.pi * np.arange(SAMPLES) / PERIOD) + NOISE * random.normal(size=SAMPLES)


def crossings(seed: int) -> int:
    """Return how often a plain threshold is crossed from the good to the bad side."""
    below = hovering(0.0, seed) < 0.0
    return int(np.count_nonzero(below[1:] & ~below[:-1]) + below[0])


def row(number: int, quality: FrameQuality, potency: float = 85.0) -> FrameRow:
    """Return the row of a frame of one flask."""
    fine = quality.passes
    return FrameRow(
        frame_id=f"{number:064x}",
        key=FrameKey(flask="A1", position="p1", time_point=f"t{number:06d}"),
        source=f"A1/p1/{number}.tif",
        acquired_at=START + number * STEP,
        n_cells=50,
        n_nuclei=50,
        quality=quality,
        features={},
        estimate=FrameEstimate(
            state=EstimateState.OK if fine else EstimateState.NOT_ASSESSABLE,
            reason=quality.reason,
            potency=potency if fine else None,
            low=potency - 10.0 if fine else None,
            high=potency + 10.0 if fine else None,
        ),
        provenance=MADE_BY,
    )


def _focus(value: float) -> FrameQuality:
    return SHARP.model_copy(update={"focus": value})


def _light(value: float) -> FrameQuality:
    return SHARP.model_copy(update={"illumination": value})


def _doubt(value: float) -> FrameQuality:
    refused = value > QualitySettings().max_doubt
    return SHARP.model_copy(
        update={"doubt": value, "passes": not refused, "reason": "not_understood" if refused else None}
    )


SERIES: dict[str, tuple[Channel, float, Callable[[float], FrameQuality]]] = {
    "focus": (Channel.OPTICS, 1.0 - CultureSettings().focus_drop, _focus),
    "light": (Channel.OPTICS, SHARP.illumination + 0.25, _light),
    "doubt": (Channel.SEGMENTATION, QualitySettings().max_doubt, _doubt),
}
"""What hovers: its channel, its limit with the default settings, and the frame that has a value of it."""


def activations(name: str, seed: int) -> int:
    """Return how often the alarm of a hovering quantity is raised in 2,000 frames with the default settings."""
    channel, limit, frame = SERIES[name]
    settings = CultureSettings()
    state, raised = FlaskState("A1", settings), 0
    for number in range(settings.baseline_frames):
        state.step(row(number, SHARP))
    for number, value in enumerate(hovering(limit, seed).tolist(), settings.baseline_frames):
        step = state.step(row(number, frame(value)))
        raised += sum(1 for event in step.alarms if event.state is AlarmState.RAISED and event.channel is channel)
    return raised


class _Now:
    def __init__(self) -> None:
        self.moment = START

    def now(self) -> datetime:
        return self.moment


@dataclass(frozen=True)
class Flood:
    """Notifications in the worst ten minutes, alarms that were told, and how long one waited at most."""

    most: int
    told: int
    longest_wait_s: float


def flood(flasks: int, within_s: float, seed: int) -> Flood:
    """Let a fleet cross within some seconds and deliver through the real outbox, on a clock of its own."""
    settings, clock = NotifierSettings(), _Now()
    pace = RateLimit(settings.flood_most, settings.flood_singly, settings.flood_window_s)
    arrivals = np.sort(np.random.default_rng(seed).uniform(0.0, within_s, flasks)).tolist()
    sent, told, longest = [], 0, 0.0
    with tempfile.TemporaryDirectory() as folder, Outbox(Path(folder) / "outbox.sqlite3", clock=clock) as outbox:
        while arrivals or outbox.next_letter("pager") is not None:
            letter = outbox.next_letter("pager")
            turn = pace.turn(outbox.sent("pager", settings.flood_window_s), outbox.now())
            ready_s = (clock.moment - START).total_seconds() + turn.wait_s
            if letter is None or (arrivals and arrivals[0] <= ready_s):
                clock.moment = max(clock.moment, START + timedelta(seconds=arrivals.pop(0)))
                outbox.add([_alarm(len(arrivals), clock.moment)], ["pager"])
                continue
            clock.moment += timedelta(seconds=turn.wait_s)
            group = outbox.group("pager", flasks) if turn.grouped else [letter]
            outbox.note_sent("pager", settings.flood_window_s)
            sent.append(outbox.now())
            for one in group:
                outbox.delivered(one)
                longest = max(longest, (clock.moment - one.added_at).total_seconds())
            told += len(group)
    worst = max(sum(1 for at in sent if first <= at < first + 600.0) for first in sent)
    return Flood(worst, told, longest)


def _alarm(number: int, at: datetime) -> AlarmChanged:
    return AlarmChanged(
        event_id=f"event-{number}", alarm_id=f"event-{number}", flask=f"F{number:04d}", channel=Channel.OPTICS,
        state=AlarmState.RAISED, at=at, frame_id=f"{number:064x}", estimated_onset_at=at, priority="medium",
        cause="it is dark", action="look at the lamp",
    )  # fmt: skip
