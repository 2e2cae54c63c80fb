"""From cells to a frame: robust statistics over whole cells, and what the frame says as a whole."""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from monitor.features.catalogue import SUMMARISED
from monitor.features.shape import Vector

SPINDLE_ASPECT = 4.0
LARGE_UM2 = 4000.0
FLAT_FORM = 0.3
ROUND_FORM = 0.8
ROUND_UM2 = 600.0
UM2_PER_CM2 = 1e8


def summarise(cells: Mapping[str, Vector], whole: NDArray[np.bool_]) -> dict[str, float]:
    """Return median, quartile range and outer deciles of the summarised features.

    `cells` maps names to (N,) values, NaN where not measured; `whole` marks cells that the border does not cut. A
    feature without a single value is absent.
    """
    found: dict[str, float] = {}
    for name in SUMMARISED:
        values = cells[name][whole & np.isfinite(cells[name])]
        if values.size:
            p10, p25, p50, p75, p90 = np.percentile(values, [10, 25, 50, 75, 90])
            found |= {f"{name}_median": p50, f"{name}_iqr": p75 - p25, f"{name}_p10": p10, f"{name}_p90": p90}
    return {name: float(value) for name, value in found.items()}


def fractions(cells: Mapping[str, Vector], whole: NDArray[np.bool_]) -> dict[str, float]:
    """Return the shares of cell types among whole cells; absent when there is none."""
    if not whole.any():
        return {}
    chosen = {name: cells[name][whole] for name in ("aspect_ratio", "area", "form_factor", "nucleus_count")}
    return {
        "fraction_spindle": float((chosen["aspect_ratio"] > SPINDLE_ASPECT).mean()),
        "fraction_large_flat": float(((chosen["area"] > LARGE_UM2) & (chosen["form_factor"] > FLAT_FORM)).mean()),
        "fraction_multinucleate": float((chosen["nucleus_count"] >= 2).mean()),
        "fraction_rounded": float(((chosen["form_factor"] > ROUND_FORM) & (chosen["area"] < ROUND_UM2)).mean()),
    }


def crowding(labels: NDArray[np.int32], y_um: Vector, x_um: Vector, pixel_size_um: float) -> dict[str, float]:
    """Return confluency, cells per cm2 and, with two cells or more, the median distance to the nearest neighbour."""
    area_cm2 = labels.size * pixel_size_um**2 / UM2_PER_CM2
    found = {"confluency": float((labels > 0).mean()), "cell_density": len(y_um) / area_cm2}
    if len(y_um) >= 2:
        places = np.column_stack([y_um, x_um])
        distances, _ = cKDTree(places).query(places, k=2)
        found["neighbour_distance"] = float(np.median(distances[:, 1]))
    return found
