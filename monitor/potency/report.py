"""What a trained model is worth: scores on held-out groups beside those of a dummy and a linear model."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

from monitor.potency.biomarker import Kind
from monitor.potency.crossval import HeldOut, Samples
from monitor.potency.scores import (
    auc,
    brier,
    coverage_by_unit,
    expected_calibration_error,
    gain_over_dummy,
    r2,
    rmse,
)

Matrix = NDArray[np.float64]
SURELY = 1.645
"""Standard errors by which a model has to lose less than the dummy: of biomarkers that are pure noise, one in twenty at
most is published then (one-sided normal limit)."""


class BiomarkerReport(BaseModel):
    """Scores of one biomarker, all on rows whose group was held out.

    r2, rmse: of a regressor's middle; auc, brier: of a classifier; auc_within: mean over folds, which matters where a
    class is more frequent in some groups than in others; ece: calibration error over ten bins of equally many
    rows (of probabilities, or of means in standard deviations of the biomarker); coverage: of intervals, or of classes
    left open, averaged over units, each counting once; coverage_by_row: pooled; width: median interval width;
    baselines: by name, then score; adjusted: of the model on features without their line on density; unadjusted: of the
    model on features as they are, where the adjusted one is published; folds: what was held out, with its scores; gain:
    how much less is lost than by the dummy, mean and standard error over units; better_than_dummy: by `SURELY` of
    these errors, and for a classifier, where folds hold both classes, with rows ranked better than by chance in them.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    unit: str
    kind: Kind
    rows: int
    units: int
    groups: int
    r2: float | None = None
    rmse: float | None = None
    auc: float | None = None
    auc_within: float | None = None
    brier: float | None = None
    ece: float
    coverage: float
    coverage_nominal: float
    coverage_by_row: float
    width: float | None = None
    baselines: dict[str, dict[str, float | None]]
    adjusted: dict[str, float | None] | None = None
    unadjusted: dict[str, float | None] | None = None
    folds: tuple[dict[str, Any], ...]
    gain: tuple[float, float]
    better_than_dummy: bool
    published: bool = True


def make_report(
    name: str,
    unit: str,
    kind: Kind,
    samples: Samples,
    held: HeldOut,
    coverage: float,
    twins: Mapping[str, HeldOut | None],
) -> BiomarkerReport:
    """Return the report of a biomarker; `twins` by the names `adjusted` and `unadjusted`."""
    truth = samples.target
    by_unit = coverage_by_unit(held.inside, samples.unit)
    gain, error = gain_over_dummy((truth - held.middle) ** 2, (truth - held.dummy) ** 2, samples.unit)
    within = _auc_within(samples, held.middle) if kind == "classifier" else None
    return BiomarkerReport(
        name=name,
        unit=unit,
        kind=kind,
        rows=len(truth),
        units=len(by_unit),
        groups=len(np.unique(samples.group)) if samples.grouped else 0,
        **_scores(kind, truth, held.middle),
        auc_within=within,
        ece=_calibration_error(kind, truth, held.middle),
        coverage=float(by_unit.mean()),
        coverage_nominal=coverage,
        coverage_by_row=float(held.inside.mean()),
        width=float(np.median(held.answer[:, 2] - held.answer[:, 0])) if kind == "regressor" else None,
        baselines={
            "dummy": _scores(kind, truth, held.dummy) | _constant(kind),
            "linear": _with_calibration(kind, truth, held.linear)
            | ({"auc_within": _auc_within(samples, held.linear)} if kind == "classifier" else {}),
        },
        **{name: _with_calibration(kind, truth, twin.middle) for name, twin in twins.items() if twin is not None},
        folds=tuple(_fold(kind, samples, held, number) for number in np.unique(samples.fold)),
        gain=(gain, error),
        better_than_dummy=gain > SURELY * error and (within is None or within > 0.5),
    )


def _auc_within(samples: Samples, predicted: Matrix) -> float | None:
    """Return the mean AUC of the folds that hold both classes, by their rows; None where none does.

    Where groups differ in how frequent a class is, rows of different folds do not rank against each other.
    """
    found = [
        (auc(samples.target[test], predicted[test]), int(test.sum()))
        for test in (samples.fold == number for number in np.unique(samples.fold))
    ]
    known = [(value, rows) for value, rows in found if np.isfinite(value)]
    return sum(value * rows for value, rows in known) / sum(rows for _, rows in known) if known else None


def _scores(kind: Kind, truth: Matrix, predicted: Matrix) -> dict[str, Any]:
    if kind == "regressor":
        return {"r2": r2(truth, predicted), "rmse": rmse(truth, predicted)}
    return {"auc": auc(truth, predicted), "brier": brier(truth, predicted)}


def _with_calibration(kind: Kind, truth: Matrix, predicted: Matrix) -> dict[str, Any]:
    return _scores(kind, truth, predicted) | {"ece": _calibration_error(kind, truth, predicted)}


def _constant(kind: Kind) -> dict[str, Any]:
    """Pooled over folds, a constant of each fold ranks rows by their fold alone, and wrongly: it ranks nothing."""
    return {"auc": 0.5} if kind == "classifier" else {}


def _calibration_error(kind: Kind, truth: Matrix, predicted: Matrix) -> float:
    error = expected_calibration_error(truth, predicted)
    return error if kind == "classifier" else error / max(float(truth.std()), 1e-300)


def _fold(kind: Kind, samples: Samples, held: HeldOut, number: int) -> dict[str, Any]:
    test = samples.fold == number
    names = sorted(set(samples.group[test].tolist())) if samples.grouped else []
    scores = _scores(kind, samples.target[test], held.middle[test])
    finite = {key: value if np.isfinite(value) else None for key, value in scores.items()}
    return {"fold": int(number), "held_out": names, "rows": int(test.sum())} | finite
