"""A reference from stored rows: the good runs of one or more state folders."""

from collections.abc import Sequence
from pathlib import Path

import typer

from monitor.culture.reference import ReferenceTrajectory
from monitor.culture.rows import FrameRow
from monitor.errors import SettingsError
from monitor.messages import MACHINE, AlarmState, Channel
from services.alarms.place import opened
from services.store.record_sqlite import SqliteRecord
from services.whole_file import write_whole

HOUR_S = 3600.0
SPOILED_BY = (Channel.POTENCY, Channel.MORPHOLOGY, Channel.SEGMENTATION, Channel.FROZEN)
"""A run with an alarm of these is not taken for a good one by itself."""
Frames = list[tuple[float, dict[str, float]]]


def write_reference(folders: Sequence[Path], out: Path, flasks: Sequence[str], bin_h: float) -> int:
    """Gather runs and write a reference.

    `flasks` names the runs to take; none named takes every flask without an alarm of potency, morphology, segmentation
    or a frozen picture.

    Raises
    ------
    SettingsError
        A folder holds no run, a named flask is in none of them, or the runs are too few or too unlike.
    """
    runs: dict[str, Frames] = {}
    for folder in folders:
        _, record = opened(folder)
        with record:
            for flask in record.flasks():
                if flask != MACHINE and (flask in flasks if flasks else _good(record, flask)):
                    runs[f"{folder.resolve().name}/{flask}"] = _frames(record, flask)
    lacking = set(flasks) - {name.partition("/")[2] for name in runs}
    if lacking:
        raise SettingsError(f"there is no flask {', '.join(sorted(lacking))} in these folders", reason="no_flask")
    try:
        made = ReferenceTrajectory.of({name: frames for name, frames in runs.items() if frames}, bin_h)
    except ValueError as error:
        raise SettingsError(f"no reference: {error}", reason="reference") from error
    write_whole(out, f"{made.model_dump_json(indent=1)}\n".encode())
    first, last = made.hours[0] - bin_h / 2.0, made.hours[-1] + bin_h / 2.0
    typer.echo(f"{out}: {len(made.centre)} features of {len(made.made_of)} runs, hours {first:g} to {last:g}")
    return 0


def _good(record: SqliteRecord, flask: str) -> bool:
    return not any(a.state is AlarmState.RAISED and a.channel in SPOILED_BY for a in record.alarms(flask))


def _frames(record: SqliteRecord, flask: str) -> Frames:
    rows = [row for row in record.frame_rows(flask) if _readable(row)]
    return [(_age(row, rows[0]), dict(row.features)) for row in rows]


def _readable(row: FrameRow) -> bool:
    return row.quality.passes and bool(row.features)


def _age(row: FrameRow, first: FrameRow) -> float:
    return row.hours if row.hours is not None else (row.at - first.at).total_seconds() / HOUR_S
