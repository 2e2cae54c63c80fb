"""What crowding alone does to the features, taken out: each feature's straight line on density, removed.

Crowded cells are smaller, and a crowded flask may be a potent one for other reasons; a model on the remainders cannot
live on that. Reported beside the model on the features as they are.
"""

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

Matrix = NDArray[np.float64]


class DensityAdjustment(BaseModel):
    """Slopes (F,) of features on one of them, `column`, and the density they are held at.

    Slopes are in feature units per unit of density; the density itself becomes a constant.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    column: str
    centre: float
    slopes: tuple[float, ...]

    @classmethod
    def fit(cls, column: str, density: Matrix, rows: Matrix) -> "DensityAdjustment":
        """Fit by least squares to rows (N, F) and their density (N,)."""
        centre = float(density.mean())
        spread = density - centre
        squares = max(float(spread @ spread), 1e-12)
        return cls(column=column, centre=centre, slopes=tuple((spread @ (rows - rows.mean(axis=0)) / squares).tolist()))

    def applied(self, density: Matrix, rows: Matrix) -> Matrix:
        """Return rows (N, F) as they would be at the centre's density."""
        adjusted: Matrix = rows - (density - self.centre)[:, None] * np.array(self.slopes)
        return adjusted
