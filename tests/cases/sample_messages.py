"""One message of every kind, and frames for tests that need many."""

import hashlib
from datetime import UTC, datetime, timedelta

from monitor.frames.identity import FrameKey
from monitor.messages import (
    MACHINE,
    AlarmChanged,
    AlarmsGrouped,
    AlarmState,
    AlarmStatus,
    BlobRef,
    Channel,
    ConditionObserved,
    DriftDetected,
    EngineParity,
    EstimateState,
    FlaskSilent,
    FrameArrived,
    FrameEstimate,
    FrameFailed,
    FrameQuality,
    FrameSegmented,
    Message,
    OperatorActed,
    OperatorAction,
    Parked,
    PotencyEstimated,
    Provenance,
    RollingEstimate,
    Sample,
)

NOON = datetime(2026, 3, 10, 12, 0, tzinfo=UTC)


def digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def arrived(number: int = 0, flask: str = "A1") -> FrameArrived:
    at = NOON + timedelta(minutes=15 * number)
    key = FrameKey(flask=flask, position="p1", time_point=f"{at:%Y%m%dT%H%M%SZ}")
    frame_id = digest(f"{flask}/{number}")
    return FrameArrived(
        frame_id=frame_id,
        key=key,
        pixels=BlobRef(store="watch", path=f"{flask}/p1/{key.time_point}.tif", sha256=frame_id),
        shape_px=(512, 640),
        dtype="uint16",
        pixel_size_um=0.65,
        acquired_at=at,
        arrived_at=at + timedelta(seconds=3.5),
        sample=Sample(donor="D-07", passage=4, medium="xeno-free", seeded_at=NOON - timedelta(days=1)),
    )


QUALITY = FrameQuality(focus=12.5, illumination=0.04, saturated_fraction=0.0, confluency=0.42, doubt=0.08, passes=True)

PARITY = EngineParity(
    frames=6, f1=0.9991, count_error=0.0, feature_error=0.0004, worst_feature="texture_cv_iqr", passes=True
)

SEGMENTED = FrameSegmented(
    frame=arrived(),
    cells=BlobRef(store="masks", path="ab/cells.tif", sha256=digest("cells")),
    nuclei=BlobRef(store="masks", path="ab/nuclei.tif", sha256=digest("nuclei")),
    n_cells=87,
    n_nuclei=91,
    quality=QUALITY,
    engine="openvino-cpu-fp32",
    engine_digest="e1",
    weights_digest="w1",
    parity=PARITY,
)

ESTIMATED = PotencyEstimated(
    frame_id=arrived().frame_id,
    key=arrived().key,
    source=arrived().source,
    acquired_at=NOON,
    n_cells=87,
    n_nuclei=91,
    quality=QUALITY,
    estimate=FrameEstimate(state=EstimateState.OK, potency=91.25, low=80.5, high=102.0),
    rolling=RollingEstimate(potency=92.0, low=85.0, high=99.0, trend_per_day=-1.5, n_frames=12),
    revision=1,
    provenance=Provenance(
        code_version="0.1.0",
        engine="openvino-cpu-fp32",
        engine_digest="e1",
        parity=PARITY,
        weights="w1",
        feature_contract="f1",
        potency_model="m1",
        calibration="c1",
        configuration="s1",
    ),
)

ALARM = AlarmChanged(
    event_id="a1",
    alarm_id="a0",
    flask="A1",
    channel=Channel.POTENCY,
    state=AlarmState.RAISED,
    at=NOON,
    frame_id=digest("alarm"),
    estimated_onset_at=NOON - timedelta(hours=2),
    priority="high",
    cause="potency falls",
    action="check the flask",
    status=AlarmStatus.UNACKNOWLEDGED,
    consequence="the batch is lost",
    respond_by=NOON + timedelta(hours=2),
)

SAMPLES: tuple[Message, ...] = (
    arrived(),
    SEGMENTED,
    FrameFailed(frame_id=digest("bad"), stage="segmenter", reason="truncated", detail="the file ends early"),
    Parked(stream="frames", key="frame:1", payload='{"schema_version": 2}', reason="unknown_version"),
    ESTIMATED,
    FlaskSilent(
        flask="A1", last_frame_id=digest("last"), last_acquired_at=NOON, observed_at=NOON, expected_interval_s=900.0
    ),
    ConditionObserved(
        flask=MACHINE,
        channel=Channel.DISK,
        bad=True,
        since=NOON - timedelta(minutes=1),
        observed_at=NOON,
        what="0.8 GiB free on the disk of state",
    ),
    DriftDetected(
        event_id="d1",
        flask="A1",
        channel=Channel.POTENCY,
        detector="cusum",
        frame_id=digest("drift"),
        at=NOON,
        statistic=5.4,
        limit=5.06,
        provisional=False,
    ),
    ALARM,
    AlarmsGrouped(group_id="g1", changes=(ALARM, ALARM.model_copy(update={"event_id": "a2", "flask": "B2"}))),
    OperatorActed(
        action_id="o1",
        flask="A1",
        channel=Channel.OPTICS,
        action=OperatorAction.SHELVE,
        at=NOON,
        acted_at=NOON + timedelta(seconds=40),
        by="anna",
        why="the incubator is open",
        until=NOON + timedelta(hours=1),
    ),
)
