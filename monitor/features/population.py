"""From cells to a frame: robust statistics over whole cells, and what the frame says as a whole."""

from collections.abc import Iterable, Mapping

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from monitor.features.catalogue import SUMMARISED
from monitor.features.label_runs import Vector

SPINDLE_ASPECT = 4.0
LARGE_UM2 = 4000.0
FLAT_FORM = 0.3
ROUND_FORM = 0.8
ROUND_UM2 = 600.0
UM2_PER_CM2 = 1e8
PERCENTILES = (10.0, 25.0, 50.0, 75.0, 90.0)


def summarise(
    cells: Mapping[str, Vector], whole: NDArray[np.bool_], names: Iterable[str] = SUMMARISED
) -> dict[str, float]:
    """Return median, quartile range and outer deciles of the features named.

    `cells` maps names to (N,) values, NaN where not measured; `whole` marks cells that the border does not cut. A
    feature without a single value is absent.
    """
    found: dict[str, float] = {}
    for name in names:
        values = np.sort(cells[name][whole & np.isfinite(cells[name])])
        if values.size:
            p10, p25, p50, p75, p90 = _percentiles(values)
            found |= {f"{name}_median": p50, f"{name}_iqr": p75 - p25, f"{name}_p10": p10, f"{name}_p90": p90}
    return found


def _percentiles(ordered: Vector) -> list[float]:
    """Return five percentiles of sorted values, between neighbours by distance as numpy has it, without its checks."""
    place = np.multiply(PERCENTILES, (ordered.size - 1) / 100.0)
    low = place.astype(np.int64)
    high = np.minimum(low + 1, ordered.size - 1)
    found: list[float] = (ordered[low] + (place - low) * (ordered[high] - ordered[low])).tolist()
    return found


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


def crowding(area_px: Vector, y_um: Vector, x_um: Vector, frame_px: int, pixel_size_um: float) -> dict[str, float]:
    """Return confluency, cells per cm2 and, with two cells or more, the median distance to the nearest neighbour."""
    area_cm2 = frame_px * pixel_size_um**2 / UM2_PER_CM2
    found = {"confluency": min(float(area_px.sum()) / frame_px, 1.0), "cell_density": len(y_um) / area_cm2}
    if len(y_um) >= 2:
        places = np.column_stack([y_um, x_um])
        distances, _ = cKDTree(places).query(places, k=2)
        found["neighbour_distance"] = float(np.median(distances[:, 1]))
    return found
