"""Calibration: conformal intervals, and how far from the training data a frame may lie."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

Matrix = NDArray[np.float64]


def conformal_offset(truth: Matrix, low: Matrix, high: Matrix, coverage: float) -> float:
    """Return how much to widen intervals so that they hold the truth as often as asked.

    Conformalised quantile regression (Romano, Patterson & Candes 2019, arXiv 1905.03222): the finite-sample quantile
    of how far held-out truths (N,) lie outside [low, high]; negative when the intervals were too wide.
    """
    outside = np.sort(np.maximum(low - truth, truth - high))
    rank = min(len(outside) - 1, int(np.ceil((len(outside) + 1) * coverage)) - 1)
    return float(outside[rank])


class Familiarity(BaseModel):
    """Mahalanobis distance to the training frames on robustly scaled features, with the distance that is refused.

    centre, scale: (F,); precision: (F, F) of the scaled features, shrunk towards the identity; limit: the distance
    that `false_alarm` of the training frames exceed.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    features: tuple[str, ...]
    centre: tuple[float, ...]
    scale: tuple[float, ...]
    precision: tuple[tuple[float, ...], ...]
    limit: float
    false_alarm: float

    @classmethod
    def fit(cls, features: Sequence[str], rows: Matrix, false_alarm: float) -> "Familiarity":
        """Fit to training frames (N, F)."""
        centre = np.median(rows, axis=0)
        scale = np.maximum(np.percentile(rows, 75, axis=0) - np.percentile(rows, 25, axis=0), 1e-9) / 1.349
        scaled = np.clip((rows - centre) / scale, -8.0, 8.0)
        covariance = 0.8 * np.cov(scaled, rowvar=False) + 0.2 * np.eye(len(centre))
        precision = np.linalg.inv(covariance)
        distances = np.sqrt(np.einsum("nf,fg,ng->n", scaled, precision, scaled))
        return cls(
            features=tuple(features),
            centre=tuple(centre.tolist()),
            scale=tuple(scale.tolist()),
            precision=tuple(tuple(row) for row in precision.tolist()),
            limit=float(np.quantile(distances, 1.0 - false_alarm)),
            false_alarm=false_alarm,
        )

    def distance(self, row: Matrix) -> float:
        """Return the distance of one frame (F,)."""
        scaled = (row - np.array(self.centre)) / np.array(self.scale)
        return float(np.sqrt(scaled @ np.array(self.precision) @ scaled))


class Calibration(BaseModel):
    """What stands between the trees and an estimate: interval width and familiarity."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    coverage: float
    offset: float
    familiarity: Familiarity
    lowest: float = 0.0
    highest: float = 150.0
