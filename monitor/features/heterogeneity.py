"""How unlike one another the cells of a frame are."""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from monitor.features.label_runs import Vector
from monitor.features.population import FLAT_FORM, LARGE_UM2, ROUND_FORM, ROUND_UM2, SPINDLE_ASPECT

MAD_TO_SD = 1.4826
TYPES = ("multinucleate", "rounded", "spindle", "large_flat", "other")
"""Each cell is of the first that fits."""


def types_of(cells: Mapping[str, Vector]) -> NDArray[np.int64]:
    """Return the type of each cell, (N,) int64, index in `TYPES`; by the limits of the fractions in `population`."""
    fits = (
        cells["nucleus_count"] >= 2,
        (cells["form_factor"] > ROUND_FORM) & (cells["area"] < ROUND_UM2),
        cells["aspect_ratio"] > SPINDLE_ASPECT,
        (cells["area"] > LARGE_UM2) & (cells["form_factor"] > FLAT_FORM),
    )
    return np.select(fits, range(len(fits)), len(fits)).astype(np.int64)


def heterogeneity(cells: Mapping[str, Vector], whole: NDArray[np.bool_]) -> dict[str, float]:
    """Return spread of area and of form, and entropy over the types, of the cells that the border does not cut.

    area_robust_cv, form_robust_cv: 1.4826 times the median absolute deviation, over the median, >= 0.
    type_entropy: Shannon's entropy of the shares of `TYPES` over its maximum, 0 (all alike) to 1. All absent when there
    are fewer than two cells.
    """
    if np.count_nonzero(whole) < 2:
        return {}
    shares = np.bincount(types_of(cells)[whole], minlength=len(TYPES)) / np.count_nonzero(whole)
    some = shares[shares > 0.0]
    return {
        "area_robust_cv": _robust_cv(cells["area"][whole]),
        "form_robust_cv": _robust_cv(cells["form_factor"][whole]),
        "type_entropy": float(-(some * np.log(some)).sum() / np.log(len(TYPES))) + 0.0,
    }


def _robust_cv(values: Vector) -> float:
    middle = np.median(values)
    return float(MAD_TO_SD * np.median(np.abs(values - middle)) / middle)
