"""State folders in which simulated flasks were measured, as a predictor would have recorded them. No real cells."""

from collections.abc import Mapping, Sequence
from datetime import timedelta
from pathlib import Path

import numpy as np
from cases.culture_rows import INTERVAL, quality
from cases.sample_messages import ESTIMATED, NOON, digest
from cases.simulated_flasks import FEATURES, Flasks, simulated_flasks

from monitor.culture.rows import FrameRow
from monitor.culture.settings import CultureSettings
from monitor.culture.state import fold
from monitor.frames.identity import FrameKey
from monitor.messages import FrameQuality
from monitor.pipeline import estimates_from
from monitor.potency.model import PotencyModel, load_model
from monitor.potency.table import INDEX, Target, TrainingTable, add_index
from monitor.potency.train import TrainingPlan, train_potency
from services.state_folder import StateFolder
from services.store.record_sqlite import SqliteRecord

TRAINED = simulated_flasks(donors=6, flasks=5, frames=2)
UNITS = {"IDO": "pg/mL", "PGE2": "ng/mL"}


def make_model(folder: Path, *, index: bool = False, flasks: Flasks = TRAINED) -> Path:
    """Train a model of IDO, or of an index of IDO and PGE2, on simulated flasks."""
    names = ("IDO", "PGE2") if index else ("IDO",)
    values = {name: np.array([flasks.biomarkers[flask][name] for flask in flasks.flask]) for name in names}
    targets = {name: Target(found, UNITS[name]) for name, found in values.items()}
    table = TrainingTable(FEATURES, flasks.rows, targets, flasks.donor, flasks.flask)
    if index:
        targets[INDEX] = add_index(table, {"IDO": 0.5, "PGE2": 0.5}, flasks.donor, "D0")
    train_potency(table, folder, {"name": "simulated"}, TrainingPlan(false_alarm=0.001, threads=1, force=True))
    return folder


def record_flasks(
    state: Path,
    model: PotencyModel | Path,
    flasks: Flasks,
    *,
    bad: Sequence[str] = (),
    settings: CultureSettings | None = None,
    qualities: Mapping[str, FrameQuality] | None = None,
) -> StateFolder:
    """Record frames of flasks, a quarter of an hour apart, judged by a model; `bad` flasks are out of focus."""
    opened = model if isinstance(model, PotencyModel) else load_model(model, rehearse=False)
    folder = StateFolder(state)
    folder.create()
    with SqliteRecord(folder.record) as record:
        for flask in dict.fromkeys(flasks.flask.tolist()):
            seen = quality("out_of_focus") if flask in bad else (qualities or {}).get(flask, quality())
            rows = [
                _row(opened, flask, number, features, seen)
                for number, features in enumerate(flasks.rows[flasks.flask == flask])
            ]
            with record.flask(flask) as transaction:
                for row in rows:
                    transaction.add(row)
                transaction.put_estimates(estimates_from(fold(flask, rows, settings or CultureSettings()), {}))
    return folder


def seen_at(number: int) -> str:
    """Return the time of a flask's frame as it is written on a command line."""
    return (NOON + number * INTERVAL).isoformat()


def _row(model: PotencyModel, flask: str, number: int, features: np.ndarray, seen: FrameQuality) -> FrameRow:
    measured = dict(zip(FEATURES, features.tolist(), strict=True))
    provenance = ESTIMATED.provenance.model_copy(
        update={"potency_model": model.digest, "calibration": model.calibration_digest}
    )
    return FrameRow(
        frame_id=digest(f"{flask}/{number}"),
        key=FrameKey(flask=flask, position="p1", time_point=f"t{number:04d}"),
        source=f"{flask}/p1/{number}.tif",
        acquired_at=NOON + number * timedelta(minutes=15),
        n_cells=50,
        n_nuclei=50,
        quality=seen,
        features=measured,
        estimate=model.estimate(measured, seen, 50, min_cells=8),
        provenance=provenance,
    )
