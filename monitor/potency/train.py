"""Training a potency model on a table of frames: cross-validated by group, calibrated on held-out groups."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from monitor.potency.calibration import Calibration, Familiarity, conformal_offset
from monitor.potency.contract import FeatureContract
from monitor.potency.model import QUANTILES, write_bundle

Matrix = NDArray[np.float64]
COVERAGE = 0.9
FALSE_ALARM = 0.01
GOLDEN_ROWS = 16
BASE: dict[str, Any] = {
    "objective": "quantile", "learning_rate": 0.05, "num_leaves": 15, "min_data_in_leaf": 20, "feature_fraction": 0.7,
    "bagging_fraction": 0.8, "bagging_freq": 1, "lambda_l2": 1.0, "num_threads": 2, "deterministic": True,
    "force_col_wise": True, "seed": 0, "verbosity": -1,
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class PotencyTable:
    """Frames to train on: rows (N, F) in the order of `features`, target (N,) in percent, group (N,) of any label."""

    features: tuple[str, ...]
    rows: Matrix
    target: Matrix
    group: NDArray[np.str_]


@dataclass(frozen=True, slots=True)
class PotencyReport:
    """Cross-validated scores, every group held out once: r2 and rmse beside those of a dummy and a linear model."""

    r2: float
    rmse: float
    dummy_rmse: float
    linear_r2: float
    coverage: float
    median_coverage_by_group: float
    groups: int
    frames: int


def train_potency(
    table: PotencyTable,
    out: Path,
    card: dict[str, Any],
    *,
    familiar: Sequence[str],
    rounds: int = 300,
    folds: int = 5,
) -> PotencyReport:
    """Train, calibrate, score and write a model folder.

    `familiar` names the features by which an unfamiliar frame is told; a subset keeps the distance well conditioned.
    """
    held_out = np.empty((len(table.target), 3))
    linear = np.empty(len(table.target))
    groups = np.unique(table.group)
    for fold in range(folds):
        test = np.isin(table.group, groups[fold::folds])
        boosters = _boosters(table.rows[~test], table.target[~test], rounds)
        held_out[test] = np.sort(
            np.column_stack([boosters[name].predict(table.rows[test]) for name in QUANTILES]), axis=1
        )
        linear[test] = _linear(table.rows[~test], table.target[~test], table.rows[test])
    offset = conformal_offset(table.target, held_out[:, 0], held_out[:, 2], COVERAGE)
    report = _report(table, held_out, linear, offset)
    columns = [table.features.index(name) for name in familiar]
    calibration = Calibration(
        coverage=COVERAGE, offset=offset, familiarity=Familiarity.fit(familiar, table.rows[:, columns], FALSE_ALARM)
    )
    final = _boosters(table.rows, table.target, rounds)
    texts = {name: booster.model_to_string() for name, booster in final.items()}
    golden = table.rows[:: max(1, len(table.rows) // GOLDEN_ROWS)][:GOLDEN_ROWS]
    scores = {name: getattr(report, name) for name in PotencyReport.__slots__}
    write_bundle(out, texts, calibration, FeatureContract.of(table.features), card | {"scores": scores}, golden)
    return report


def _boosters(rows: Matrix, target: Matrix, rounds: int) -> dict[str, Any]:
    import lightgbm

    return {
        name: lightgbm.train(BASE | {"alpha": quantile}, lightgbm.Dataset(rows, target), rounds)
        for name, quantile in QUANTILES.items()
    }


def _linear(rows: Matrix, target: Matrix, new: Matrix) -> Matrix:
    """Ridge regression on standardised features."""
    centre, scale = rows.mean(0), rows.std(0) + 1e-9
    x = (rows - centre) / scale
    weights = np.linalg.solve(x.T @ x + 10.0 * np.eye(x.shape[1]), x.T @ (target - target.mean()))
    predicted: Matrix = (new - centre) / scale @ weights + target.mean()
    return predicted


def _report(table: PotencyTable, held_out: Matrix, linear: Matrix, offset: float) -> PotencyReport:
    truth = table.target
    inside = (truth >= held_out[:, 0] - offset) & (truth <= held_out[:, 2] + offset)
    by_group = [inside[table.group == name].mean() for name in np.unique(table.group)]
    return PotencyReport(
        r2=_r2(truth, held_out[:, 1]),
        rmse=float(np.sqrt(((truth - held_out[:, 1]) ** 2).mean())),
        dummy_rmse=float(truth.std()),
        linear_r2=_r2(truth, linear),
        coverage=float(inside.mean()),
        median_coverage_by_group=float(np.median(by_group)),
        groups=len(by_group),
        frames=len(truth),
    )


def _r2(truth: Matrix, predicted: Matrix) -> float:
    return float(1.0 - ((truth - predicted) ** 2).sum() / ((truth - truth.mean()) ** 2).sum())
