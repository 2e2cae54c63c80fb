"""Calibration: how wide intervals have to be, and what a classifier's margin is worth as a probability."""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, SerializerFunctionWrapHandler, model_serializer

from monitor.potency.applicability import ApplicabilityDomain

Matrix = NDArray[np.float64]
NEWTON_STEPS = 50


def conformal_offset(
    truth: Matrix, low: Matrix, high: Matrix, coverage: float, unit: NDArray[np.str_] | None = None
) -> float:
    """Return how much to widen intervals so that they hold the truth as often as asked.

    Conformalised quantile regression (Romano, Patterson & Candes 2019, arXiv 1905.03222): the finite-sample quantile
    of how far held-out truths (N,) lie outside [low, high]; negative when the intervals were too wide. Rows of one
    `unit` (N,), a flask, are no independent evidence: each unit counts once, its rows share that weight, and the sample
    size is the number of units (hierarchical conformal prediction, Lee, Barber & Willett 2023, arXiv 2306.06342).
    With too few units for the coverage asked for, the widest miss is taken.
    """
    outside = np.maximum(low - truth, truth - high)
    if unit is None:
        ordered = np.sort(outside)
        rank = min(len(outside) - 1, int(np.ceil((len(outside) + 1) * coverage)) - 1)
        return float(ordered[rank])
    _, which, counts = np.unique(unit, return_inverse=True, return_counts=True)
    order = np.argsort(outside)
    held = np.cumsum(1.0 / counts[which][order]) / (len(counts) + 1)
    enough = held >= coverage - 1e-12
    return float(outside[order][int(np.argmax(enough)) if enough.any() else -1])


class Interval(BaseModel):
    """A regressor's interval: `offset` widens it on both sides; lowest and highest hold what the quantity can be.

    `shift` moves interval and middle together; it comes from a recalibration, see `monitor.potency.recalibration`.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    coverage: float
    offset: float
    shift: float = 0.0
    lowest: float | None = None
    highest: float | None = None

    def applied(self, quantiles: Matrix) -> Matrix:
        """Return (N, 3) low, middle, high, calibrated, sorted and in range, from sorted quantiles (N, 3)."""
        raw = np.array(quantiles, float) + self.shift
        raw[:, 0] -= self.offset
        raw[:, 2] += self.offset
        raw[:, 0] = np.minimum(raw[:, 0], raw[:, 1])
        raw[:, 2] = np.maximum(raw[:, 2], raw[:, 1])
        if self.lowest is None and self.highest is None:
            return raw
        clipped: Matrix = np.clip(raw, self.lowest, self.highest)
        return clipped

    @model_serializer(mode="wrap")
    def _written(self, write: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Leave a shift of nothing out: a model without one keeps the digest that it was released with."""
        written: dict[str, Any] = write(self)
        return {name: value for name, value in written.items() if name != "shift" or value}


class Platt(BaseModel):
    """A classifier's probability: a logistic curve through its margins (Platt 1999), fitted on held-out rows.

    A class is left open when its probability is at least `least`, which is chosen so that the classes left open hold
    the true one as often as `coverage` (Sadinle, Lei & Wasserman 2019, arXiv 1609.00451).
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    slope: float
    intercept: float
    coverage: float = 0.9
    least: float = 0.5

    @classmethod
    def fit(cls, margin: Matrix, truth: Matrix) -> "Platt":
        """Fit to margins (N,) of rows whose class (N,), 0 or 1, is known; targets are drawn in as Platt proposed."""
        positive = float(truth.sum())
        negative = len(truth) - positive
        wanted = np.where(truth > 0.5, (positive + 1.0) / (positive + 2.0), 1.0 / (negative + 2.0))
        design = np.column_stack([margin, np.ones(len(margin))])
        weights = np.array([0.0, np.log((positive + 1.0) / (negative + 1.0))])
        for _ in range(NEWTON_STEPS):
            found = logistic(design @ weights)
            gradient = design.T @ (found - wanted)
            curvature = (design * (found * (1.0 - found))[:, None]).T @ design + 1e-9 * np.eye(2)
            step = np.linalg.solve(curvature, gradient)
            weights = weights - step
            if np.abs(step).max() < 1e-10:
                break
        return cls(slope=float(weights[0]), intercept=float(weights[1]))

    def with_sets(self, margin: Matrix, truth: Matrix, coverage: float, unit: NDArray[np.str_]) -> "Platt":
        """Return this curve with `least` set on held-out margins (N,), classes (N,) and units (N,)."""
        probability = self.applied(margin)
        missed = 1.0 - np.where(truth > 0.5, probability, 1.0 - probability)
        nothing = np.zeros(len(missed))
        least = 1.0 - conformal_offset(missed, nothing, nothing, coverage, unit)
        return self.model_copy(update={"coverage": coverage, "least": least})

    def applied(self, margin: Matrix) -> Matrix:
        """Return probabilities of class 1 for margins of any shape."""
        return logistic(self.slope * margin + self.intercept)

    def classes(self, probability: Matrix) -> NDArray[np.bool_]:
        """Return (N, 2) whether class 0 and class 1 stay open at probabilities (N,) of class 1; the likelier always."""
        both = np.column_stack([1.0 - probability, probability])
        opened: NDArray[np.bool_] = (both >= self.least) | (both == both.max(axis=1, keepdims=True))
        return opened


class Calibration(BaseModel):
    """What stands between the trees and an estimate, by biomarker: interval or probability; familiarity for all."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    intervals: dict[str, Interval] = {}
    probabilities: dict[str, Platt] = {}
    familiarity: ApplicabilityDomain


def logistic(margin: Matrix) -> Matrix:
    """Return 1 / (1 + exp(-margin)) without overflow."""
    return 0.5 * (1.0 + np.tanh(0.5 * margin))
