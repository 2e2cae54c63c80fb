"""What is usual: the median of every feature at each culture hour, to say of a row that something is above or below."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

Matrix = NDArray[np.float64]
MOST_HOURS = 12
"""With more different hours they are gathered into this many stretches of equally many rows."""


class FeatureReference(BaseModel):
    """Medians by feature, one per hour of `hours`, or a single one where hours are not known.

    of: whose medians; a feature may be absent, then nothing can be said of it.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    of: str = ""
    hours: tuple[float, ...] = ()
    medians: dict[str, tuple[float, ...]] = {}

    @classmethod
    def fit(cls, of: str, features: Sequence[str], rows: Matrix, hours: Matrix | None) -> "FeatureReference":
        """Return the medians of rows (N, F); `hours` (N,) since seeding, NaN where not known, or None."""
        known = np.zeros(len(rows), bool) if hours is None else np.isfinite(hours)
        if hours is None or not known.any():
            parts, centres = [rows], tuple[float, ...]()
        else:
            parts, centres = _by_hour(rows[known], hours[known])
        medians = np.array([np.median(part, axis=0) for part in parts])
        return cls(
            of=of, hours=centres, medians={name: tuple(medians[:, n].tolist()) for n, name in enumerate(features)}
        )

    def at(self, feature: str, hours: float | None) -> tuple[float, float | None] | None:
        """Return the usual value of a feature and the hour it is for, the nearest that is known; None where none is."""
        medians = self.medians.get(feature)
        if not medians:
            return None
        if not self.hours:
            return medians[0], None
        if hours is None:
            return float(np.median(medians)), None
        nearest = int(np.argmin(np.abs(np.array(self.hours) - hours)))
        return medians[nearest], self.hours[nearest]


def _by_hour(rows: Matrix, hours: Matrix) -> tuple[list[Matrix], tuple[float, ...]]:
    distinct = np.unique(hours)
    if len(distinct) <= MOST_HOURS:
        return [rows[hours == hour] for hour in distinct], tuple(distinct.tolist())
    parts = np.array_split(np.argsort(hours, kind="stable"), MOST_HOURS)
    return [rows[part] for part in parts], tuple(float(np.median(hours[part])) for part in parts)
