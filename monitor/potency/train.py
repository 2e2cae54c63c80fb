"""Training a potency model on a table: each biomarker cross-validated by group, calibrated, judged, and bundled."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from monitor.errors import SettingsError
from monitor.potency.applicability import ApplicabilityDomain
from monitor.potency.biomarker import BiomarkerSpec, file_names
from monitor.potency.boosting import Grower
from monitor.potency.bundle import Bundle, ModelSpec
from monitor.potency.calibration import Calibration, Interval, Platt
from monitor.potency.conditions import Conditions
from monitor.potency.contract import FeatureContract
from monitor.potency.crossval import Samples, fit_final, fit_meaning, heads_to_grow, hold_out
from monitor.potency.density import DensityAdjustment
from monitor.potency.folds import grouped_folds, plain_folds
from monitor.potency.model import write_bundle
from monitor.potency.place import whole_folder
from monitor.potency.reference import FeatureReference
from monitor.potency.report import BiomarkerReport, make_report
from monitor.potency.table import Target, TrainingTable

Matrix = NDArray[np.float64]
Progress = Callable[[str, int, int], None]
"""Told the biomarker, how many heads of it are grown, and of how many."""
GOLDEN_ROWS = 16
LEAST_ROWS = 20
VALUES_FOR_THREADS = 200_000
"""On smaller tables threads wait for each other longer than they work, and very long on a busy machine."""


@dataclass(frozen=True, slots=True)
class TrainingPlan:
    """How to train.

    coverage: of intervals; false_alarm: share of rows of the same kind that are refused as unfamiliar; familiar: the
    features by which that is told, all by default; adjust: take the line on density out of the published model;
    force: publish what is no better than the dummy too; min_cells, min_fields: as in `ModelSpec`.
    """

    coverage: float = 0.9
    false_alarm: float = 0.05
    familiar: tuple[str, ...] = ()
    adjust: bool = False
    force: bool = False
    min_cells: int = 0
    min_fields: int = 0
    threads: int = 2
    seed: int = 0


@dataclass(frozen=True, slots=True)
class Trained:
    """One biomarker, trained: its report, what is stored of it, its trees by file, and what they mean."""

    report: BiomarkerReport
    spec: BiomarkerSpec
    trees: Mapping[str, str]
    meaning: Interval | Platt


def train_potency(
    table: TrainingTable,
    out: Path,
    card: Mapping[str, Any],
    plan: TrainingPlan | None = None,
    progress: Progress | None = None,
    *,
    replace: bool = False,
) -> dict[str, BiomarkerReport]:
    """Train, judge and write a model folder, whole or not at all; return a report per biomarker.

    A biomarker that is not surely better than the dummy (`report.SURELY`) is left out unless forced; where none is
    left, nothing is written. With `replace` a model at `out` gives way once the new one is written.

    Raises
    ------
    SettingsError
        When there are too few rows, one group only, or nothing to learn; the message names the mend.
    """
    plan = plan or TrainingPlan()
    _check(table)
    adjustment = None
    if plan.adjust:
        if table.density is None:
            message = "there is no density to adjust for; the table needs a feature `confluency` or `cell_density`"
            raise SettingsError(message, reason="table")
        density = table.rows[:, table.features.index(table.density)]
        adjustment = DensityAdjustment.fit(table.density, density, table.rows)
    taken: set[str] = set()
    trained = [_train(name, target, table, plan, adjustment, taken, progress) for name, target in table.targets.items()]
    kept = [part for part in trained if part.report.better_than_dummy or plan.force]
    reports = {
        part.report.name: part.report.model_copy(update={"published": any(part is other for other in kept)})
        for part in trained
    }
    if kept:
        scores = {name: report.model_dump(mode="json") for name, report in reports.items()}
        worth = {name: _worth(report) for name, report in reports.items()}
        bundle = _bundle(table, plan, kept, adjustment, dict(card) | {"worth": worth, "scores": scores})
        with whole_folder(out, replace=replace) as made:
            write_bundle(made, bundle, table.rows[:: max(1, len(table.rows) // GOLDEN_ROWS)][:GOLDEN_ROWS])
    return reports


def _check(table: TrainingTable) -> None:
    if len(table.rows) < LEAST_ROWS:
        message = f"{len(table.rows)} rows are too few to train and judge a model; {LEAST_ROWS} are needed at least"
        raise SettingsError(message, reason="table")
    groups = table.unit if table.group is None else table.group
    if groups is not None and len(names := np.unique(groups)) < 2:
        what = "flask" if table.group is None else "group"
        message = f"all rows belong to one {what} ({names[0]}), so none can be held out; group by another column"
        raise SettingsError(f"{message}, or add samples of others", reason="group")


def _train(
    name: str,
    target: Target,
    table: TrainingTable,
    plan: TrainingPlan,
    adjustment: DensityAdjustment | None,
    taken: set[str],
    progress: Progress | None,
) -> Trained:
    samples = _samples(name, target, table, plan)
    threads = plan.threads if samples.rows.size >= VALUES_FOR_THREADS else 1
    grower = Grower(target.kind, threads, plan.seed)
    total = heads_to_grow(samples, target.kind, 1 if samples.density is None else 2)
    done = 0

    def tick() -> None:
        nonlocal done
        done += 1
        if progress is not None:
            progress(name, done, total)

    plain = hold_out(samples, grower, plan.coverage, tick)
    adjusted = None if samples.density is None else hold_out(samples, grower, plan.coverage, tick, adjusted=True)
    published, plain_twin = (adjusted, plain) if plan.adjust and adjusted is not None else (plain, None)
    _, boosters = fit_final(samples, grower, tick, adjustment)
    meaning = fit_meaning(grower, published.raw, samples.target, samples.unit, plan.coverage)
    files = file_names(name, target.kind, taken)
    spec = BiomarkerSpec(
        name=name, unit=target.unit, kind=target.kind, files=files, labels=target.labels, index=target.index
    )
    twins = {"adjusted": adjusted, "unadjusted": plain_twin}
    report = make_report(name, target.unit, target.kind, samples, published, plan.coverage, twins)
    trees = {files[head]: booster.model_to_string() for head, booster in boosters.items()}  # type: ignore[attr-defined]
    return Trained(report, spec, trees, meaning)


def _samples(name: str, target: Target, table: TrainingTable, plan: TrainingPlan) -> Samples:
    known = np.isfinite(target.values)
    if known.sum() < LEAST_ROWS:
        message = f"the biomarker {name!r} was measured for {known.sum()} rows only; {LEAST_ROWS} are needed at least"
        raise SettingsError(message, reason="target")
    values = target.values[known]
    units = table.units[known]
    group = units if table.group is None else table.group[known]
    if table.group is not None and len(np.unique(group)) < 2:
        message = f"the biomarker {name!r} was measured in one group only ({group[0]}); add samples of others"
        raise SettingsError(message, reason="group")
    grouped = table.group is not None or table.unit is not None
    fold = grouped_folds(group) if grouped else plain_folds(values, plan.seed)
    density = None if table.density is None else (table.density, table.features.index(table.density))
    return Samples(table.rows[known], values, fold, group, units, grouped, density)


def _bundle(
    table: TrainingTable,
    plan: TrainingPlan,
    kept: list[Trained],
    adjustment: DensityAdjustment | None,
    card: Mapping[str, Any],
) -> Bundle:
    names = plan.familiar or table.features
    rows = table.rows[:, [table.features.index(name) for name in names]]
    group = table.units if table.group is None else table.group
    alone = table.group is None and table.unit is None
    fold = plain_folds(rows[:, 0], plan.seed) if alone else grouped_folds(group)
    _, which, counts = np.unique(table.units, return_inverse=True, return_counts=True)
    conditions = dict(table.conditions)
    if "confluency" in table.features:
        conditions["confluency"] = table.rows[:, table.features.index("confluency")].tolist()
    spec = ModelSpec(
        biomarkers=tuple(part.spec for part in kept),
        conditions=Conditions.of(conditions),
        adjustment=adjustment,
        reference=FeatureReference.fit("median of the training rows", table.features, table.rows, table.hours),
        min_cells=plan.min_cells,
        min_fields=plan.min_fields,
    )
    calibration = Calibration(
        intervals={part.spec.name: part.meaning for part in kept if isinstance(part.meaning, Interval)},
        probabilities={part.spec.name: part.meaning for part in kept if isinstance(part.meaning, Platt)},
        familiarity=ApplicabilityDomain.fit(names, rows, plan.false_alarm, fold, 1.0 / counts[which]),
    )
    trees = {file: text for part in kept for file, text in part.trees.items()}
    return Bundle(spec, calibration, FeatureContract.of_table(table.features), card, trees)


def _worth(report: BiomarkerReport) -> str:
    if report.better_than_dummy:
        return "better than the mean of the training rows on held-out groups"
    return "NO BETTER than the mean of the training rows on held-out groups; it says nothing about a new one"
