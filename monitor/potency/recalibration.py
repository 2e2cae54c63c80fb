"""New intervals from later results, the trees left as they are, and whether that is an improvement.

The interval is moved by the median over flasks of result minus estimate, and widened or narrowed by the finite-sample
quantile over flasks of how far results lie outside of it (conformalised quantile regression: Romano, Patterson & Candes
2019, arXiv 1905.03222; by the flask: Lee, Barber & Willett 2023, arXiv 2306.06342). The distances of a flask are taken
with the shift of the other flasks (cross-conformal, Vovk 2015), so that no flask excuses itself.

It is judged on flasks that were left out one at a time, by the interval score (Gneiting & Raftery 2007): the width,
plus 2 / (1 - coverage) times what a result lies outside. Less is better; wide intervals do not win by being wide.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

from monitor.potency.agreement import Agreement, Measured, Verdict, agreement
from monitor.potency.calibration import Interval, conformal_offset
from monitor.potency.pooled import pooled
from monitor.potency.scores import gain_over_dummy

Matrix = NDArray[np.float64]
LEAST_FLASKS = 20
METHOD = (
    "moved by the median over flasks of result minus estimate; widened by the finite-sample quantile over flasks of "
    "how far results lie outside, each flask with the shift of the others (conformalised quantile regression, Romano "
    "et al. 2019; by the flask, Lee et al. 2023); judged by interval score on left-out flasks; trees untouched"
)


@dataclass(frozen=True, slots=True)
class Evidence:
    """Later results (N,) with their flasks (N,), and for each what the trees said of its frames: (K, 3) quantiles."""

    raw: Sequence[Matrix]
    truth: Matrix
    unit: NDArray[np.str_]

    def part(self, chosen: NDArray[np.bool_]) -> "Evidence":
        """Return some of the results."""
        raw = [frames for frames, yes in zip(self.raw, chosen.tolist(), strict=True) if yes]
        return Evidence(raw, self.truth[chosen], self.unit[chosen])

    @property
    def flasks(self) -> int:
        """How many flasks there are."""
        return len(np.unique(self.unit))


@dataclass(frozen=True, slots=True)
class _Fit:
    """What an interval is made from: answers (N, 3) before calibration, results (N,), and of which flask each is.

    which: (N,) numbers of flasks from 0; errors: (U,) the median of result minus estimate of each flask.
    """

    answer: Matrix
    truth: Matrix
    which: NDArray[np.intp]
    errors: Matrix

    @classmethod
    def of(cls, evidence: Evidence) -> "_Fit":
        answer = np.array([pooled(frames) for frames in evidence.raw])
        names, which = np.unique(evidence.unit, return_inverse=True)
        error = evidence.truth - answer[:, 1]
        errors = np.array([np.median(error[which == flask]) for flask in range(len(names))])
        return cls(answer, evidence.truth, which, errors)

    def without(self, flask: int) -> "_Fit":
        rest = self.which != flask
        which = self.which[rest] - (self.which[rest] > flask)
        return _Fit(self.answer[rest], self.truth[rest], which, np.delete(self.errors, flask))

    def interval(self, before: Interval) -> Interval:
        others = [np.median(np.delete(self.errors, flask)) for flask in range(len(self.errors))]
        shift = np.array(others)[self.which]
        low, high = self.answer[:, 0] + shift, self.answer[:, 2] + shift
        offset = conformal_offset(self.truth, low, high, before.coverage, self.which.astype(str))
        return before.model_copy(update={"shift": float(np.median(self.errors)), "offset": offset})


class Recalibration(BaseModel):
    """A new interval, and how the old and the new one do on flasks that were left out.

    gain: how much the interval score falls, mean and standard error over flasks, in the biomarker's unit; better:
    whether the gain is beyond its error and the new intervals are not found too narrow.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    interval: Interval
    before: Agreement
    after: Agreement
    width: tuple[float, float]
    gain: tuple[float, float]
    better: bool


def least_flasks(coverage: float) -> int:
    """Return how many flasks a recalibration needs: one may be left out, and the others still give the quantile.

    >>> least_flasks(0.9), least_flasks(0.99)
    (20, 100)
    """
    return max(LEAST_FLASKS, math.ceil(round(coverage / (1.0 - coverage), 9)) + 1)


def recalibrate(evidence: Evidence, before: Interval) -> Recalibration:
    """Return the new interval with its worth on left-out flasks.

    Raises
    ------
    ValueError
        With fewer flasks than `least_flasks`.
    """
    if evidence.flasks < least_flasks(before.coverage):
        message = f"{evidence.flasks} flasks, {least_flasks(before.coverage)} are needed"
        raise ValueError(message)
    old, new = _answers(evidence, before), np.empty((len(evidence.truth), 3))
    fit = _Fit.of(evidence)
    for flask in range(len(fit.errors)):
        own = fit.which == flask
        new[own] = _answers(evidence.part(own), fit.without(flask).interval(before))
    judged = [agreement(Measured(evidence.truth, answer, evidence.unit), before.coverage) for answer in (old, new)]
    scores = [interval_score(evidence.truth, answer, before.coverage) for answer in (old, new)]
    gain, error = gain_over_dummy(scores[1], scores[0], evidence.unit)
    return Recalibration(
        interval=fit.interval(before),
        before=judged[0],
        after=judged[1],
        width=(_width(old), _width(new)),
        gain=(gain, error),
        better=gain > error and judged[1].verdict is not Verdict.TOO_NARROW,
    )


def interval_score(truth: Matrix, answer: Matrix, coverage: float) -> Matrix:
    """Return (N,) interval scores of answers (N, 3) to truths (N,), in their unit.

    >>> interval_score(np.array([5.0, 11.0]), np.array([[4.0, 5.0, 10.0], [4.0, 5.0, 10.0]]), 0.9).round(9).tolist()
    [6.0, 26.0]
    """
    low, high = answer[:, 0], answer[:, 2]
    outside = np.maximum(low - truth, 0.0) + np.maximum(truth - high, 0.0)
    score: Matrix = high - low + 2.0 / (1.0 - coverage) * outside
    return score


def _answers(evidence: Evidence, interval: Interval) -> Matrix:
    return np.array([pooled(interval.applied(frames)) for frames in evidence.raw])


def _width(answer: Matrix) -> float:
    return float(np.median(answer[:, 2] - answer[:, 0]))
