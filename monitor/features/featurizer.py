"""Everything that is measured on one frame."""

from collections.abc import Collection
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray

from monitor.features.intensity import measure_intensity
from monitor.features.label_runs import LabelRuns, Vector, label_runs, sums_and_boxes
from monitor.features.population import crowding, fractions, summarise
from monitor.features.shape import Shapes, eccentricity_of, measure_shapes
from monitor.frames.frame import Frame
from monitor.frames.hidden import hidden_in
from monitor.parallel import both

THIN_PX = 0.01
"""A minor axis below this is that of a line one pixel wide, which has no aspect ratio."""


@dataclass(frozen=True, slots=True)
class FrameFeatures:
    """Features of one frame.

    Attributes
    ----------
    cells
        (N,) float64 per name of `catalogue.BASE_CELL` and of the families asked for, NaN where not measurable; row i is
        the cell with id i + 1. Units are those of the catalogue.
    whole
        (N,) bool, False for cells that the border cuts.
    parents
        (M,) int32, cell id of each nucleus 1..M.
    population
        By name of `catalogue.BASE_POPULATION` and of the families, absent where not measurable.
    centroids_um
        (N, 2) float64, y and x in micrometres from the middle of the first pixel.
    """

    cells: dict[str, Vector]
    whole: NDArray[np.bool_]
    parents: NDArray[np.int32]
    population: dict[str, float]
    centroids_um: Vector


def measure(
    frame: Frame, cells: NDArray[np.int32], nuclei: NDArray[np.int32], *, families: Collection[str] = ()
) -> FrameFeatures:
    """Measure a frame.

    Parameters
    ----------
    frame
        The frame, for intensities and scale; what a field stop or a scale bar hides is no area of it.
    cells
        (Y, X) int32 label image, ids from 1 without gaps.
    nuclei
        (Y, X) int32 label image, ids from 1 without gaps, every nucleus within one cell.
    families
        Names of `catalogue.FAMILIES` to measure beyond what every frame has; `catalogue.families_for` gives those that
        a potency model needs.

    Returns
    -------
    FrameFeatures
        Of cells and of the frame as a whole.

    Raises
    ------
    ValueError
        When frame and label images differ in shape.
    KeyError
        For a family that the catalogue does not know, with its name.
    """
    if not frame.shape == cells.shape == nuclei.shape:
        message = f"frame {frame.shape}, cells {cells.shape} and nuclei {nuclei.shape} must have one shape"
        raise ValueError(message)
    size = frame.pixel_size_um
    runs, nucleus_runs = both(partial(label_runs, cells), partial(label_runs, nuclei))
    hidden = hidden_in(frame.pixels)
    seen_px = cells.size - (0 if hidden is None else int(hidden.sum()))
    intensity, formed = both(
        partial(measure_intensity, frame.pixels, runs, size), partial(_formed, cells, runs, nucleus_runs, size, seen_px)
    )
    shapes, parents, nucleus_columns, crowded = formed
    columns = _shape_columns(shapes, size) | nucleus_columns
    columns["contrast"], columns["texture_cv"] = intensity
    whole = ~shapes.touches_border
    population = summarise(columns, whole) | fractions(columns, whole)
    population |= crowded
    if families:
        from monitor.features.families import Scene, measure_families  # frames without families load none of it

        scene = Scene(frame, cells, nuclei, runs, nucleus_runs, shapes, parents, dict(columns))
        more, of_population = measure_families(scene, whole, families)
        columns |= more
        population |= of_population
    centroids = np.column_stack([shapes.centroid_y, shapes.centroid_x]) * size
    return FrameFeatures(columns, whole, parents, population, centroids)


def _formed(
    cells: NDArray[np.int32], runs: LabelRuns, nucleus_runs: LabelRuns, size: float, seen_px: int
) -> tuple[Shapes, NDArray[np.int32], dict[str, Vector], dict[str, float]]:
    """Return all that needs label images alone: shapes, parents and columns of nuclei, crowding."""
    shapes = measure_shapes(cells, runs)
    parents, nucleus_columns = _nuclei(shapes, cells, nucleus_runs, size)
    crowded = crowding(shapes.area, shapes.centroid_y * size, shapes.centroid_x * size, seen_px, size)
    return shapes, parents, nucleus_columns, crowded


def _shape_columns(shapes: Shapes, size: float) -> dict[str, Vector]:
    minor = np.where(shapes.minor_axis > THIN_PX, shapes.minor_axis, np.nan)
    return {
        "area": shapes.area * size**2,
        "perimeter": shapes.perimeter * size,
        "perimeter_chain": shapes.perimeter_chain * size,
        "max_feret": shapes.max_feret * size,
        "min_feret": shapes.min_feret * size,
        "major_axis": shapes.major_axis * size,
        "minor_axis": shapes.minor_axis * size,
        "aspect_ratio": shapes.major_axis / minor,
        "eccentricity": eccentricity_of(shapes),
        "solidity": shapes.area / shapes.hull_area,
        "extent": shapes.area / shapes.box_area,
        "form_factor": 4.0 * np.pi * shapes.area / np.maximum(shapes.perimeter, 1e-9) ** 2,
    }


def _nuclei(
    shapes: Shapes, cells: NDArray[np.int32], nuclei: LabelRuns, size: float
) -> tuple[NDArray[np.int32], dict[str, Vector]]:
    """Return the cell of each nucleus, 0 for one that lies in none, and what cells have by their nuclei."""
    count = len(shapes.area)
    sums, _ = sums_and_boxes(nuclei)
    parents = np.zeros(nuclei.count, np.int32)
    rows = np.repeat(np.arange(nuclei.shape[0]), np.diff(nuclei.begins))
    parents[nuclei.instance] = cells[rows, nuclei.start]
    numbers = np.bincount(parents, minlength=count + 1)[1:].astype(np.float64)
    area, y, x = (np.bincount(parents, sums[:, column], count + 1)[1:] for column in range(3))
    some = np.where(area > 0.0, area, np.nan)
    rest = shapes.area - area
    return parents, {
        "nucleus_area": some * size**2,
        "nucleus_count": numbers,
        "nucleus_cytoplasm_ratio": some / np.where(rest > 0.0, rest, np.nan),
        "nucleus_offset": np.hypot(y / some - shapes.centroid_y, x / some - shapes.centroid_x)
        / np.sqrt(shapes.area / np.pi),
    }
