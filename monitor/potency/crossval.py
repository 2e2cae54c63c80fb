"""Nested cross-validation of one biomarker: every fold is predicted by models that saw neither it nor its scores.

Inside each fold's training rows, inner folds choose the trees and calibrate probabilities. Intervals of a fold are
calibrated on the held-out answers of the other folds (cross-conformal, Vovk 2015), because trees of the inner folds saw
so much less that their intervals come out too wide. The published model is calibrated on all held-out answers.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from monitor.errors import SettingsError
from monitor.potency.biomarker import HEADS, Kind
from monitor.potency.boosting import LEAVES, Choice, Grower, Tick
from monitor.potency.calibration import Interval, Platt, conformal_offset
from monitor.potency.density import DensityAdjustment
from monitor.potency.folds import grouped_folds, plain_folds
from monitor.potency.linear import logistic_regression, ridge

Matrix = NDArray[np.float64]
Labels = NDArray[np.str_]
INNER = 3


@dataclass(frozen=True, slots=True)
class Samples:
    """Rows (N, F) with one biomarker (N,), what is held out together (N,) and what counts as one (N,)."""

    rows: Matrix
    target: Matrix
    fold: NDArray[np.int64]
    group: Labels
    unit: Labels
    grouped: bool
    density: tuple[str, int] | None = None

    def part(self, chosen: NDArray[np.bool_]) -> "Samples":
        """Return some rows, folded anew: by group where there are two or more, else by unit, else by chance."""
        group, unit = self.group[chosen], self.unit[chosen]
        by = next((labels for labels in (group, unit) if self.grouped and len(np.unique(labels)) >= 2), None)
        target = self.target[chosen]
        fold = plain_folds(target, 0, INNER) if by is None else grouped_folds(by, INNER, INNER)
        return Samples(self.rows[chosen], target, fold, group, unit, self.grouped, self.density)


@dataclass(frozen=True, slots=True)
class HeldOut:
    """What was predicted for every row by models that never saw its group.

    raw: (N, H) sorted quantiles or margins; answer: (N, 3) calibrated low, middle, high, or (N, 1) probabilities;
    inside: (N,) whether interval or open classes hold the truth; dummy, linear: (N,) baselines.
    """

    raw: Matrix
    answer: Matrix
    inside: NDArray[np.bool_]
    dummy: Matrix
    linear: Matrix

    @property
    def middle(self) -> Matrix:
        """(N,) the single best answer."""
        middle: Matrix = self.answer[:, self.answer.shape[1] // 2]
        return middle


def hold_out(samples: Samples, grower: Grower, coverage: float, tick: Tick, *, adjusted: bool = False) -> HeldOut:
    """Predict every fold by the others; with `adjusted`, on features whose line on density was taken out."""
    count = len(samples.target)
    width = 3 if grower.kind == "regressor" else 1
    raw, answer = np.empty((count, width)), np.empty((count, width))
    meanings: dict[int, Interval | Platt] = {}
    inside, dummy, linear = np.zeros(count, bool), np.empty(count), np.empty(count)
    for number in np.unique(samples.fold):
        test = samples.fold == number
        train = samples.part(~test)
        _check_varied(samples, test, train)
        rows, new = (
            _adjusted(samples, train.rows, part) if adjusted else part for part in (train.rows, samples.rows[test])
        )
        choice, inner = grower.choose(rows, train.target, train.fold, tick)
        raw[test] = grower.answers(grower.heads(rows, train.target, choice, tick), new)
        dummy[test] = train.target.mean()
        linear[test] = (ridge if grower.kind == "regressor" else logistic_regression)(rows, train.target, new)
        if grower.kind == "classifier":
            meanings[number] = fit_meaning(grower, inner[:, None], train.target, train.unit, coverage)
    for number in np.unique(samples.fold):
        test = samples.fold == number
        meaning = meanings.get(number) or fit_meaning(
            grower, raw[~test], samples.target[~test], samples.unit[~test], coverage
        )
        answer[test] = meaning.applied(raw[test])
        inside[test] = holds(meaning, answer[test], samples.target[test])
    return HeldOut(raw, answer, inside, dummy, linear)


def heads_to_grow(samples: Samples, kind: Kind, runs: int) -> int:
    """Return how many heads are grown when every fold is held out `runs` times over, and then on all rows."""
    parts = [samples.part(samples.fold != number) for number in np.unique(samples.fold)]
    whole = samples.part(np.ones(len(samples.target), bool))
    counts = [len(np.unique(part.fold)) * len(LEAVES) + len(HEADS[kind]) for part in (*parts, whole)]
    return runs * sum(counts[:-1]) + counts[-1]


def fit_final(
    samples: Samples, grower: Grower, tick: Tick, adjustment: DensityAdjustment | None
) -> tuple[Choice, dict[str, object]]:
    """Choose and grow on all rows."""
    whole = samples.part(np.ones(len(samples.target), bool))
    rows = whole.rows
    if adjustment is not None and samples.density is not None:
        rows = adjustment.applied(rows[:, samples.density[1]], rows)
    choice, _ = grower.choose(rows, whole.target, whole.fold, tick)
    return choice, grower.heads(rows, whole.target, choice, tick)


def fit_meaning(grower: Grower, raw: Matrix, target: Matrix, unit: Labels, coverage: float) -> Interval | Platt:
    """Return interval or probability from held-out answers (N, H)."""
    if grower.kind == "classifier":
        return Platt.fit(raw[:, 0], target).with_sets(raw[:, 0], target, coverage, unit)
    offset = conformal_offset(target, raw[:, 0], raw[:, 2], coverage, unit)
    lowest = 0.0 if target.min() >= 0.0 else None
    return Interval(coverage=coverage, offset=offset, lowest=lowest)


def holds(meaning: Interval | Platt, answer: Matrix, target: Matrix) -> NDArray[np.bool_]:
    """Return (N,) whether the truth lies in the interval, or among the classes left open."""
    if isinstance(meaning, Platt):
        opened = meaning.classes(answer[:, 0])
        return np.where(target > 0.5, opened[:, 1], opened[:, 0])
    inside: NDArray[np.bool_] = (target >= answer[:, 0]) & (target <= answer[:, 2])
    return inside


def _adjusted(samples: Samples, train: Matrix, rows: Matrix) -> Matrix:
    if samples.density is None:
        return rows
    name, column = samples.density
    return DensityAdjustment.fit(name, train[:, column], train).applied(rows[:, column], rows)


def _check_varied(samples: Samples, test: NDArray[np.bool_], train: Samples) -> None:
    if len(np.unique(train.target)) >= 2:
        return
    held_out = ", ".join(sorted(set(samples.group[test].tolist()))[:3])
    message = (
        f"with {held_out} held out, every remaining row has the same value, so nothing can be learnt; group by another "
        "column, or add samples that differ"
    )
    raise SettingsError(message, reason="target")
