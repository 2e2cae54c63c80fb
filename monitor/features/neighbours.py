"""Who is next to whom: touching neighbours, the nearest one, and how crowded it is around a cell."""

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from monitor.features.label_runs import Vector
from monitor.features.nearest import nearest_cells

TOUCHING_UM = 5.0
"""Two cells are neighbours where their outlines come as near as that."""
AROUND_UM = 150.0
"""Radius of the disc in which cells are counted."""
UM2_PER_CM2 = 1e8
CHORDS = 64


def neighbour_counts(labels: NDArray[np.int32], pixel_size_um: float) -> Vector:
    """Return how many others come within `TOUCHING_UM` of each of the instances 1..N, (N,) float64, >= 0.

    Each grows by half of that over the ground; those that then touch, side by side, are neighbours (CellProfiler's
    `MeasureObjectNeighbors` with a distance).
    """
    count = int(labels.max(initial=0))
    grown = nearest_cells(labels, max(1.0, TOUCHING_UM / 2.0 / pixel_size_um))
    pairs = []
    for one, other in ((grown[:, :-1], grown[:, 1:]), (grown[:-1], grown[1:])):
        met = (one != other) & (one > 0) & (other > 0)
        low, high = np.minimum(one[met], other[met]), np.maximum(one[met], other[met])
        pairs.append(low.astype(np.int64) * (count + 1) + high)
    met_once = np.unique(np.concatenate(pairs))
    sides = np.concatenate([met_once // (count + 1), met_once % (count + 1)])
    return np.bincount(sides, minlength=count + 1)[1:].astype(np.float64)


def nearest_distances(y_um: Vector, x_um: Vector) -> Vector:
    """Return the distance in um from each centroid to the nearest other, (N,) float64; NaN for a cell alone."""
    if len(y_um) < 2:
        return np.full(len(y_um), np.nan)
    places = np.column_stack([y_um, x_um])
    distances: Vector = cKDTree(places).query(places, k=2)[0][:, 1]
    return distances


def local_densities(y_um: Vector, x_um: Vector, extent_um: tuple[float, float]) -> Vector:
    """Return cells per cm2 within `AROUND_UM` of each centroid, itself included, (N,) float64, > 0.

    The area is that of the part of the disc that lies in the frame, whose height and width is `extent_um`; centroids
    are measured from its upper left corner.
    """
    if not len(y_um):
        return np.zeros(0)
    places = np.column_stack([y_um, x_um])
    numbers = cKDTree(places).query_ball_point(places, AROUND_UM, return_length=True)
    # the disc as evenly spaced chords, each cut at the left and right border; none beyond top and bottom
    height = AROUND_UM * ((np.arange(CHORDS) + 0.5) / CHORDS * 2.0 - 1.0)
    half = np.sqrt(AROUND_UM**2 - height**2)
    rows = y_um[:, None] + height
    left, right = np.maximum(x_um[:, None] - half, 0.0), np.minimum(x_um[:, None] + half, extent_um[1])
    inside = (rows >= 0.0) & (rows <= extent_um[0])
    area = (np.maximum(right - left, 0.0) * inside).sum(axis=1) * 2.0 * AROUND_UM / CHORDS
    densities: Vector = numbers / area * UM2_PER_CM2
    return densities
