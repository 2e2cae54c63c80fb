"""Maps to instances: a flood from the deepest inside a cell outwards, cells and nuclei alike; see `flood`.

The centre map is smoothed and lowered at predicted edges, so that the flood meets an edge before it crosses it.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from monitor.network.checkpoint import DecodeSettings
from monitor.segmentation.confidence import believed, evidence, without_unsure
from monitor.segmentation.flood import flood
from monitor.segmentation.holes import without_holes
from monitor.segmentation.smooth import gaussian_where

HOLE_UM2 = 60.0

Order = tuple[int, int, int, int, int]
"""The planes of cell, cell centre, boundary, nucleus and nucleus centre in a network's maps."""


@dataclass(frozen=True, slots=True)
class Instances:
    """Label images of one frame, (Y, X) int32, 0 background, ids compact; each nucleus lies within one cell.

    outlined: cells before those were left out that the maps are not sure of; how well a frame can be read shows there.
    """

    cells: NDArray[np.int32]
    nuclei: NDArray[np.int32]
    outlined: NDArray[np.int32]


def instances_of(maps: NDArray[np.float32], order: Order, settings: DecodeSettings, pixel_size_um: float) -> Instances:
    """Decode the maps of one frame.

    Parameters
    ----------
    maps
        (K, Y, X) float32 as the network gives them.
    pixel_size_um
        Scale of the maps, for the smallest areas.
    """
    nucleus, nucleus_centre = (maps[index] for index in order[3:])
    pixel_um2 = pixel_size_um**2
    outlined, height = _outlined(maps, order, settings, pixel_um2)
    cells = outlined
    if settings.confidence is not None:
        columns = evidence(cells, maps[order[0]], maps[order[2]], height)
        cells = without_unsure(cells, believed(columns, settings.confidence))
    within = (nucleus > 0.0) & (cells > 0)
    if not within.any():
        return Instances(cells, np.zeros_like(cells), outlined)
    core = gaussian_where(nucleus_centre, settings.smooth_px / 2.0, within)
    least_px = settings.min_nucleus_um2 / pixel_um2
    nuclei = flood(core, within, cells, settings.nucleus_persistence, least_px=least_px, least_peak=0.0)
    return Instances(cells, nuclei, outlined)


def outlines_with_evidence(
    maps: NDArray[np.float32], order: Order, settings: DecodeSettings, pixel_size_um: float
) -> tuple[NDArray[np.int32], NDArray[np.float64]]:
    """Return (Y, X) labels of all outlined cells, unsure ones too, and their (N, 4) evidence; see `instances_of`."""
    cells, height = _outlined(maps, order, settings, pixel_size_um**2)
    return cells, evidence(cells, maps[order[0]], maps[order[2]], height)


def _outlined(
    maps: NDArray[np.float32], order: Order, settings: DecodeSettings, pixel_um2: float
) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
    """Return labels of all cells and the smoothed centre map that they were flooded from."""
    cell, centre, boundary = (maps[index] for index in order[:3])
    threshold = np.float32(np.log(settings.threshold / (1.0 - settings.threshold)))
    inside = without_holes(cell > threshold, HOLE_UM2 / pixel_um2)
    height = gaussian_where(centre, settings.smooth_px, inside)
    cells = flood(
        height,
        inside,
        np.zeros(inside.shape, np.int32),
        settings.persistence,
        settings.bump_um2 / pixel_um2,
        edge=boundary,
        edge_weight=settings.boundary_weight,
        least_px=settings.min_cell_um2 / pixel_um2,
        least_peak=settings.min_peak,
    )
    return cells, height
