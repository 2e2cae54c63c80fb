"""Which outlined cells are cells: the logistic regression of `CellConfidence`, learnt on labelled fields."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from monitor.network.checkpoint import CONFIDENCE_COLUMNS, CellConfidence

LEAST_WRONG = 30
"""Fewer wrong outlines than this say nothing about what a wrong one looks like."""
RIDGE = 1e-3
LEASTS = tuple(float(round(step, 2)) for step in np.arange(0.2, 0.61, 0.05))
FOLDS, LEAST_FIELDS = 8, 4


def overlap(truth: NDArray[np.integer], cells: NDArray[np.int32], count: int) -> NDArray[np.float64]:
    """Return for labels 1 to `count` the IoU with the true cell that each overlaps most; (Y, X) both, 0 background."""
    wide = int(truth.max(initial=0)) + 1
    shared = np.bincount((cells.astype(np.int64) * wide + truth).ravel(), minlength=(count + 1) * wide)
    shared = shared.reshape(-1, wide)
    found, true = shared.sum(1), shared.sum(0)
    either = found[1:, None] + true[None, 1:] - shared[1:, 1:]
    best: NDArray[np.float64] = (shared[1:, 1:] / np.maximum(either, 1)).max(1, initial=0.0)
    return best


def fit_confidence(
    columns: Sequence[NDArray[np.float64]], right: Sequence[NDArray[np.bool_]], missed: int
) -> CellConfidence | None:
    """Return what tells right outlines from wrong ones, or None when too few are wrong to say.

    Parameters
    ----------
    columns, right
        Of each field the (N, 4) evidence of its outlined cells and whether each is one (IoU at least 0.5).
    missed
        True cells that no outline fits, in all fields.

    Notes
    -----
    Newton's method on standardised columns with a small ridge. The least probability is that of the best
    AP = TP / (TP + FP + FN) under cross-validation by field.
    """
    wrong = sum(int((~some).sum()) for some in right)
    if wrong < LEAST_WRONG or len(right) < LEAST_FIELDS:
        return None
    folds = min(FOLDS, len(right))
    fold = np.arange(len(right)) % folds
    held = [np.zeros(some.size) for some in right]
    for number in range(folds):
        learnt = np.flatnonzero(fold != number).tolist()
        weights = _weights(np.concatenate([columns[i] for i in learnt]), np.concatenate([right[i] for i in learnt]))
        for index in np.flatnonzero(fold == number).tolist():
            held[index] = _probability(columns[index], weights)
    probability, truth = np.concatenate(held), np.concatenate(list(right))
    total = int(truth.sum()) + missed
    ap50 = [
        (truth & (probability >= least)).sum() / (total + (~truth & (probability >= least)).sum()) for least in LEASTS
    ]
    weights = _weights(np.concatenate(list(columns)), truth)
    named = dict(zip(CONFIDENCE_COLUMNS, (round(float(weight), 4) for weight in weights[1:]), strict=True))
    return CellConfidence(intercept=round(float(weights[0]), 4), least=LEASTS[int(np.argmax(ap50))], **named)


def _probability(columns: NDArray[np.float64], weights: NDArray[np.float64]) -> NDArray[np.float64]:
    probability: NDArray[np.float64] = 1.0 / (1.0 + np.exp(-np.clip(weights[0] + columns @ weights[1:], -40.0, 40.0)))
    return probability


def _weights(columns: NDArray[np.float64], right: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Return intercept and coefficients, (5,), for columns as they are."""
    middle, spread = columns.mean(0), np.maximum(columns.std(0), 1e-9)
    design = np.column_stack([np.ones(len(columns)), (columns - middle) / spread])
    ridge = RIDGE * len(columns) * np.diag([0.0, *np.ones(columns.shape[1])])
    weights = np.zeros(design.shape[1])
    for _ in range(50):
        probability = _probability(design[:, 1:], weights)
        slope = design.T @ (right - probability) - ridge @ weights
        curve = (design * (probability * (1.0 - probability))[:, None]).T @ design + ridge
        step = np.linalg.solve(curve + 1e-9 * np.eye(len(curve)), slope)
        weights += step
        if np.abs(step).max() < 1e-8:
            break
    scaled = weights[1:] / spread
    found: NDArray[np.float64] = np.concatenate([[weights[0] - middle @ scaled], scaled])
    return found
