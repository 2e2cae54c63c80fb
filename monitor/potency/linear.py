"""Linear baselines: what a model of trees has to be worth more than. Ridge and logistic regression, standardised."""

import numpy as np
from numpy.typing import NDArray

from monitor.potency.calibration import logistic

Matrix = NDArray[np.float64]
PENALTY = 1.0
NEWTON_STEPS = 50


def ridge(rows: Matrix, target: Matrix, new: Matrix, penalty: float = 10.0) -> Matrix:
    """Return ridge predictions (M,) for new rows (M, F) from training rows (N, F) and target (N,)."""
    x, x_new = _standard(rows, new)
    weights = np.linalg.solve(x.T @ x + penalty * np.eye(x.shape[1]), x.T @ (target - target.mean()))
    predicted: Matrix = x_new @ weights + target.mean()
    return predicted


def logistic_regression(rows: Matrix, target: Matrix, new: Matrix) -> Matrix:
    """Return probabilities (M,) of class 1 for new rows (M, F) from rows (N, F) of classes (N,) 0 and 1.

    Newton steps on the penalised likelihood (iteratively reweighted least squares); the intercept is not penalised.
    """
    x, x_new = (np.column_stack([np.ones(len(part)), part]) for part in _standard(rows, new))
    weights = np.zeros(x.shape[1])
    penalty = PENALTY * np.eye(x.shape[1])
    penalty[0, 0] = 0.0
    for _ in range(NEWTON_STEPS):
        found = logistic(x @ weights)
        curvature = (x * (found * (1.0 - found))[:, None]).T @ x + penalty
        step = np.linalg.solve(curvature, x.T @ (found - target) + penalty @ weights)
        weights = weights - step
        if np.abs(step).max() < 1e-9:
            break
    return logistic(x_new @ weights)


def _standard(rows: Matrix, new: Matrix) -> tuple[Matrix, Matrix]:
    centre, scale = rows.mean(axis=0), rows.std(axis=0) + 1e-9
    return (rows - centre) / scale, (new - centre) / scale
