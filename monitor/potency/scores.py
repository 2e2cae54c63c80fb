"""What predictions are worth: explained variance, ranking, calibration, coverage."""

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata

Matrix = NDArray[np.float64]
BINS = 10


def r2(truth: Matrix, predicted: Matrix) -> float:
    """Return the share of the variance of truths (N,) that predictions explain; negative is worse than their mean."""
    spread = float(((truth - truth.mean()) ** 2).sum())
    return 1.0 - float(((truth - predicted) ** 2).sum()) / max(spread, 1e-300)


def rmse(truth: Matrix, predicted: Matrix) -> float:
    """Return the root mean square error, in the unit of the truth."""
    return float(np.sqrt(((truth - predicted) ** 2).mean()))


def auc(truth: Matrix, score: Matrix) -> float:
    """Return the chance that a row of class 1 scores above one of class 0 (Mann & Whitney 1947); ties count half.

    >>> auc(np.array([0.0, 0.0, 1.0, 1.0]), np.array([0.1, 0.4, 0.35, 0.8]))
    0.75
    """
    positive = truth > 0.5
    n_positive, n_negative = int(positive.sum()), int((~positive).sum())
    if not n_positive or not n_negative:
        return float("nan")
    ranks = float(rankdata(score)[positive].sum())
    return (ranks - n_positive * (n_positive + 1) / 2.0) / (n_positive * n_negative)


def expected_calibration_error(truth: Matrix, probability: Matrix, bins: int = BINS) -> float:
    """Return the mean distance between probability and frequency over bins that hold equally many rows.

    Naeini, Cooper & Hauskrecht 2015; bins of equal count instead of equal width, so that none is nearly empty.

    >>> expected_calibration_error(np.array([0.0, 1.0]), np.array([0.1, 0.9]), bins=2)
    0.1
    """
    parts = np.array_split(np.argsort(probability, kind="stable"), min(bins, len(truth)))
    gaps = [len(part) * abs(float(truth[part].mean() - probability[part].mean())) for part in parts]
    return round(sum(gaps) / len(truth), 12)


def brier(truth: Matrix, probability: Matrix) -> float:
    """Return the mean squared distance of probabilities from classes 0 and 1 (Brier 1950)."""
    return float(((truth - probability) ** 2).mean())


def coverage_by_unit(inside: NDArray[np.bool_], unit: NDArray[np.str_]) -> Matrix:
    """Return (U,) the share of the rows of each unit, in sorted order, whose truth lies inside its interval."""
    _, which = np.unique(unit, return_inverse=True)
    covered: Matrix = np.bincount(which, weights=inside.astype(float)) / np.bincount(which)
    return covered


def gain_over_dummy(loss: Matrix, dummy: Matrix, unit: NDArray[np.str_]) -> tuple[float, float]:
    """Return how much less a model loses than the dummy, mean and standard error over units; losses are (N,)."""
    _, which = np.unique(unit, return_inverse=True)
    gain = np.bincount(which, weights=dummy - loss) / np.bincount(which)
    if len(gain) < 2:
        return float(gain.mean()), float("inf")
    return float(gain.mean()), float(gain.std(ddof=1) / np.sqrt(len(gain)))
