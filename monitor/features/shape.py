"""Shape of every instance from the runs of a label image, in pixels.

Moments and axes follow scikit-image's region properties, perimeters its Crofton formula in four directions and its
weighted outline pixels (Benkrid & Crookes 2000). Hulls and Feret diameters are of pixel corners, where scikit-image
takes pixel centres for Feret diameters and points half a pixel out for the hull.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from monitor.features.hull import hulls
from monitor.features.label_runs import LabelRuns, Vector, label_runs, sums_and_boxes
from monitor.features.outline import chain_perimeter, crofton_perimeter


@dataclass(frozen=True, slots=True)
class Shapes:
    """Shapes of the instances 1..N, all (N,) float64 in pixels, and `touches_border` (N,) bool."""

    area: Vector
    centroid_y: Vector
    centroid_x: Vector
    perimeter: Vector
    perimeter_chain: Vector
    major_axis: Vector
    minor_axis: Vector
    max_feret: Vector
    min_feret: Vector
    hull_area: Vector
    box_area: Vector
    touches_border: NDArray[np.bool_]


def measure_shapes(labels: NDArray[np.int32], runs: LabelRuns | None = None) -> Shapes:
    """Measure every instance of a (Y, X) int32 label image with ids 1..N without gaps; `runs` when they are known."""
    runs = label_runs(labels) if runs is None else runs
    sums, boxes = sums_and_boxes(runs)
    diameters = hulls(runs, boxes)
    area = sums[:, 0]
    y, x = sums[:, 1] / area, sums[:, 2] / area
    myy = sums[:, 3] / area - y * y
    mxx = sums[:, 4] / area - x * x
    mxy = sums[:, 5] / area - x * y
    root = np.sqrt(((mxx - myy) / 2.0) ** 2 + mxy**2)
    middle = (mxx + myy) / 2.0
    edges = (boxes[:, 0] == 0) | (boxes[:, 2] == 0)
    edges |= (boxes[:, 1] == labels.shape[0] - 1) | (boxes[:, 3] == labels.shape[1] - 1)
    return Shapes(
        area=area,
        centroid_y=y,
        centroid_x=x,
        perimeter=crofton_perimeter(runs, area),
        perimeter_chain=chain_perimeter(runs, labels),
        major_axis=4.0 * np.sqrt(middle + root),
        minor_axis=4.0 * np.sqrt(np.maximum(middle - root, 0.0)),
        max_feret=diameters[:, 0],
        min_feret=diameters[:, 1],
        hull_area=diameters[:, 2],
        box_area=(boxes[:, 1] - boxes[:, 0] + 1.0) * (boxes[:, 3] - boxes[:, 2] + 1.0),
        touches_border=edges,
    )


def eccentricity_of(shapes: Shapes) -> Vector:
    """Return the eccentricity of the ellipses of equal second moments, (N,); 0 for a single pixel."""
    long = shapes.major_axis > 0.0
    ratio = np.divide(shapes.minor_axis, shapes.major_axis, out=np.ones_like(shapes.major_axis), where=long)
    found: Vector = np.sqrt(np.maximum(1.0 - ratio**2, 0.0))
    return found
