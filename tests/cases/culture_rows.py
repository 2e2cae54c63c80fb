"""Rows of a flask's history, one per quarter of an hour, healthy unless told otherwise."""

from collections.abc import Sequence
from datetime import timedelta

from cases.sample_messages import ESTIMATED, NOON, digest

from monitor.culture.rows import FrameRow, OperatorRow, SilenceRow
from monitor.culture.state import Step
from monitor.frames.identity import FrameKey
from monitor.messages import (
    AlarmChanged,
    Channel,
    EstimateState,
    FlaskSilent,
    FrameEstimate,
    FrameQuality,
    OperatorActed,
    OperatorAction,
)

INTERVAL = timedelta(minutes=15)


def quality(
    reason: str | None = None, *, focus: float = 1.0, illumination: float = 0.05, saturated: float = 0.0
) -> FrameQuality:
    return FrameQuality(
        focus=focus,
        illumination=illumination,
        saturated_fraction=saturated,
        confluency=0.4,
        doubt=0.1,
        passes=reason is None,
        reason=reason,
    )


def estimate_of(potency: float | None, reason: str = "too_few_cells") -> FrameEstimate:
    if potency is None:
        return FrameEstimate(state=EstimateState.NOT_ASSESSABLE, reason=reason)
    return FrameEstimate(state=EstimateState.OK, potency=potency, low=potency - 10.0, high=potency + 10.0)


def frame_row(
    number: int,
    potency: float | None = 100.0,
    reason: str | None = None,
    *,
    focus: float = 1.0,
    illumination: float = 0.05,
    n_cells: int = 50,
    flask: str = "A1",
) -> FrameRow:
    """Return the row of time point `number`; a frame that fails its quality check for `reason` has no potency."""
    at = NOON + number * INTERVAL
    return FrameRow(
        frame_id=digest(f"{flask}/{number}"),
        key=FrameKey(flask=flask, position="p1", time_point=f"t{number:04d}"),
        source=f"{flask}/p1/{number}.tif",
        acquired_at=at,
        n_cells=n_cells,
        n_nuclei=n_cells,
        quality=quality(reason, focus=focus, illumination=illumination),
        features={},
        estimate=estimate_of(potency) if reason is None else estimate_of(None, reason),
        provenance=ESTIMATED.provenance,
    )


def silence_row(last: int, observed: float, flask: str = "A1") -> SilenceRow:
    """Return the silence after time point `last`, seen `observed` intervals after noon."""
    return SilenceRow.of(
        FlaskSilent(
            flask=flask,
            last_frame_id=digest(f"{flask}/{last}"),
            last_acquired_at=NOON + last * INTERVAL,
            observed_at=NOON + observed * INTERVAL,
            expected_interval_s=INTERVAL.total_seconds(),
        )
    )


def operator_row(
    action: OperatorAction,
    at: float,
    channel: Channel = Channel.POTENCY,
    *,
    until: float | None = None,
    flask: str = "A1",
    why: str = "on my way",
) -> OperatorRow:
    """Return what Anna did, `at` so many intervals after noon."""
    return OperatorRow.of(
        OperatorActed(
            action_id=digest(f"{flask}/{channel}/{action}/{at}")[:32],
            flask=flask,
            channel=channel,
            action=action,
            at=NOON + at * INTERVAL,
            acted_at=NOON + at * INTERVAL,
            by="anna",
            why=why,
            until=None if until is None else NOON + until * INTERVAL,
        )
    )


def alarms_of(history: Sequence[tuple[object, Step]]) -> list[AlarmChanged]:
    return [alarm for _, step in history for alarm in step.alarms]


def told(history: Sequence[tuple[object, Step]]) -> list[tuple[str, str, float]]:
    """Return (channel, state, time point) of every alarm event, in order."""
    return [(alarm.channel, alarm.state, (alarm.at - NOON) / INTERVAL) for alarm in alarms_of(history)]
