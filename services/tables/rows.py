"""Rows of tables: a cell, what the sample list says of a flask, and the facts that a run stored."""

from collections.abc import Mapping, Sequence
from datetime import datetime

from monitor.culture.rows import FrameRow
from monitor.features.featurizer import FrameFeatures
from monitor.frames.identity import FrameKey
from monitor.frames.sample import Sample
from monitor.messages import AlarmChanged, DriftDetected, FrameArrived, FrameFailed, PotencyEstimated
from services.tables.files import Value

Values = dict[str, Value | datetime]


def sample_columns(sample: Sample | None) -> dict[str, Value]:
    """Return what the sample list says of a flask."""
    if sample is None:
        return {}
    return {
        "donor": sample.donor,
        "passage": sample.passage,
        "lot": sample.lot,
        "stimulation": sample.stimulation,
        "medium": sample.medium,
    }


def cell_rows(
    names: Sequence[int], features: FrameFeatures, motion: Mapping[str, list[Value]]
) -> list[dict[str, Value]]:
    """Return a row per cell: its id in the label image, place, border, motion where it is known, and features."""
    columns: dict[str, Sequence[Value]] = {
        "cell": names,
        "centroid_y_um": features.centroids_um[:, 0].tolist(),
        "centroid_x_um": features.centroids_um[:, 1].tolist(),
        "touches_border": (~features.whole).tolist(),
        **motion,
        **{name: column.tolist() for name, column in features.cells.items()},
    }
    return [dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)]


def frame_row(row: FrameRow, arrived: FrameArrived | None) -> Values:
    """Return a measured frame; the sample and the pixel size are of its arrival, where that is known."""
    made = row.provenance
    return {
        **place(row.frame_id, row.source, row.key, row.acquired_at),
        **sample_columns(arrived.sample if arrived else None),
        "hours_since_seeding": row.hours,
        **row.quality.model_dump(),
        "state": "ok" if row.quality.passes else row.quality.reason,
        "pixel_size_um": arrived.pixel_size_um if arrived else None,
        "n_cells": row.n_cells,
        "n_nuclei": row.n_nuclei,
        **row.features,
        "masks": f"{made.weights[:12]} {made.engine}",
        "code_version": made.code_version,
    }


def estimate_row(estimated: PotencyEstimated) -> Values:
    """Return the estimate of a frame and of its flask as of that frame."""
    frame, flask = estimated.estimate, estimated.rolling
    return {
        **place(estimated.frame_id, estimated.source, estimated.key, estimated.acquired_at),
        "n_cells": estimated.n_cells,
        "n_nuclei": estimated.n_nuclei,
        "state": frame.state.value,
        "reason": frame.reason,
        "potency": frame.potency,
        "low": frame.low,
        "high": frame.high,
        "rolling_potency": flask.potency,
        "rolling_low": flask.low,
        "rolling_high": flask.high,
        "trend_per_day": flask.trend_per_day,
        "n_frames": flask.n_frames,
        "revision": estimated.revision,
        "potency_model": estimated.provenance.potency_model,
    }


def alarm_row(alarm: AlarmChanged) -> Values:
    """Return a change of an alarm."""
    told = alarm.model_dump(exclude={"kind", "schema_version"})
    return told | {
        "channel": alarm.channel.value,
        "state": alarm.state.value,
        "status": alarm.status.value if alarm.status else None,
    }


def drift_row(drift: DriftDetected) -> Values:
    """Return an event of a detector."""
    return drift.model_dump(exclude={"kind", "schema_version"}) | {"channel": drift.channel.value}


def failure_row(failure: FrameFailed, arrived: FrameArrived | None) -> Values:
    """Return a frame that a stage gave up, with who it is where its arrival is known."""
    found: Values = {"frame_id": failure.frame_id}
    if arrived is not None:
        found = place(arrived.frame_id, arrived.source, arrived.key, arrived.acquired_at)
    return found | {"stage": failure.stage, "reason": failure.reason, "detail": failure.detail}


def place(frame_id: str, source: str, key: FrameKey, acquired_at: datetime) -> Values:
    """Return who a frame is: content, file, flask, position, channel and time."""
    return {"frame_id": frame_id, "source": source, **key.model_dump(), "acquired_at": acquired_at}
