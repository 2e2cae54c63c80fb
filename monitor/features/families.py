"""Families of features that are measured only when asked for; each is one pass over a frame by its own module.

The families are listed in `catalogue.FAMILIES`; `catalogue.families_for` says which of them a model needs.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from monitor.features.catalogue import FAMILIES
from monitor.features.contour import Contours, trace
from monitor.features.curvature import curvatures
from monitor.features.granularity import SIDES_UM, measure_granularity
from monitor.features.halo import measure_halo
from monitor.features.heterogeneity import heterogeneity
from monitor.features.intensity import relative_intensity
from monitor.features.label_runs import LabelRuns, Vector
from monitor.features.neighbours import local_densities, nearest_distances, neighbour_counts
from monitor.features.population import summarise
from monitor.features.radii import centroid_distances, depths
from monitor.features.shape import Shapes, eccentricity_of, measure_shapes
from monitor.features.sums import sums_over
from monitor.features.texture import measure_texture, quantise
from monitor.frames.frame import Frame


@dataclass(slots=True)
class Scene:
    """A frame with its label images and what is known of them; what several families need is made once, when asked.

    parents: (M,) int32, cell id of each nucleus 1..M; columns: the cell features that every frame has.
    """

    frame: Frame
    cells: NDArray[np.int32]
    nuclei: NDArray[np.int32]
    cell_runs: LabelRuns
    nucleus_runs: LabelRuns
    shapes: Shapes
    parents: NDArray[np.int32]
    columns: dict[str, Vector]
    _relative: NDArray[np.float32] | None = field(default=None, init=False)
    _contours: Contours | None = field(default=None, init=False)
    _nucleus_contours: Contours | None = field(default=None, init=False)
    _nucleus_shapes: Shapes | None = field(default=None, init=False)

    @property
    def size(self) -> float:
        """Pixel size in um."""
        return self.frame.pixel_size_um

    @property
    def relative(self) -> NDArray[np.float32]:
        """(Y, X) intensity over the local background; NaN where that is unknown."""
        if self._relative is None:
            self._relative = relative_intensity(self.frame.pixels, self.cell_runs, self.size)
        return self._relative

    @property
    def contours(self) -> Contours:
        """Outlines of the cells."""
        if self._contours is None:
            self._contours = trace(self.cells, self.cell_runs)
        return self._contours

    @property
    def nucleus_contours(self) -> Contours:
        """Outlines of the nuclei."""
        if self._nucleus_contours is None:
            self._nucleus_contours = trace(self.nuclei, self.nucleus_runs)
        return self._nucleus_contours

    @property
    def nucleus_shapes(self) -> Shapes:
        """Shapes of the nuclei, in pixels."""
        if self._nucleus_shapes is None:
            self._nucleus_shapes = measure_shapes(self.nuclei, self.nucleus_runs)
        return self._nucleus_shapes

    def of_largest_nucleus(self, values: Vector) -> Vector:
        """Turn (M,) values of nuclei into (N,) values of cells: that of the largest nucleus, NaN without one."""
        found = np.full(len(self.shapes.area), np.nan)
        order = np.argsort(self.nucleus_shapes.area, kind="stable")
        order = order[self.parents[order] > 0]
        found[self.parents[order] - 1] = values[order]  # the last one written is the largest
        return found


def measure_families(
    scene: Scene, whole: NDArray[np.bool_], families: Iterable[str]
) -> tuple[dict[str, Vector], dict[str, float]]:
    """Return cell features, (N,) each, and population features of the families named.

    Raises
    ------
    KeyError
        For a family that is not in the catalogue, with its name.
    """
    cells: dict[str, Vector] = {}
    population: dict[str, float] = {}
    for name in families:
        family = FAMILIES[name]
        if name in MEASURES:
            cells |= MEASURES[name](scene)
        population |= summarise(scene.columns | cells, whole, family.summarised)
        if name == "heterogeneity":
            population |= heterogeneity(scene.columns, whole)
    return cells, population


def _shape(scene: Scene) -> dict[str, Vector]:
    shapes = scene.shapes
    return {"compactness": np.sqrt(4.0 * shapes.area / np.pi) / shapes.max_feret}


def _radii(scene: Scene) -> dict[str, Vector]:
    size = scene.size
    inner = depths(scene.cells, scene.cell_runs) * size
    outer = centroid_distances(scene.contours, scene.shapes.centroid_y, scene.shapes.centroid_x) * size
    return {
        "max_radius": inner[:, 0],
        "mean_radius": inner[:, 1],
        "median_radius": inner[:, 2],
        "max_centroid_distance": outer[:, 0],
        "mean_centroid_distance": outer[:, 1],
        "median_centroid_distance": outer[:, 2],
    }


def _curvature(scene: Scene) -> dict[str, Vector]:
    found = curvatures(scene.contours, scene.size)
    return {"mean_negative_curvature": found[:, 0], "bending_energy": found[:, 1]}


def _nucleus(scene: Scene) -> dict[str, Vector]:
    shapes, size = scene.nucleus_shapes, scene.size
    minor = np.where(shapes.minor_axis > 0.0, shapes.minor_axis, np.nan)
    inner = depths(scene.nuclei, scene.nucleus_runs) * size
    values = {
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
        "compactness": np.sqrt(4.0 * shapes.area / np.pi) / shapes.max_feret,
        "max_radius": inner[:, 0],
        "mean_radius": inner[:, 1],
        "median_radius": inner[:, 2],
        "mean_negative_curvature": curvatures(scene.nucleus_contours, size)[:, 0],
    }
    return {f"nucleus_{name}": scene.of_largest_nucleus(column) for name, column in values.items()}


def _intensity(scene: Scene) -> dict[str, Vector]:
    area = scene.shapes.area
    total, squares = sums_over(scene.frame.pixels, scene.cell_runs).T
    mean = total / area
    spread = np.sqrt(np.maximum(squares / area - mean**2, 0.0))
    light = sums_over(scene.relative, scene.cell_runs)[:, 0]
    inside, nuclear = (
        np.bincount(scene.parents, of_nuclei, len(area) + 1)[1:]
        for of_nuclei in (scene.nucleus_shapes.area, sums_over(scene.relative, scene.nucleus_runs)[:, 0])
    )
    some, rest = (np.where(number > 0.0, number, np.nan) for number in (inside, area - inside))
    return {
        "intensity_mean": mean,
        "intensity_cv": spread / np.where(mean > 0.0, mean, np.nan),
        "nucleus_contrast": (nuclear / some) / ((light - nuclear) / rest) - 1.0,
    }


def _halo(scene: Scene) -> dict[str, Vector]:
    ratio, contrast = measure_halo(scene.relative, scene.cells, scene.size)
    return {"halo_ratio": ratio, "halo_contrast": contrast}


def _granularity(scene: Scene) -> dict[str, Vector]:
    spectrum = measure_granularity(scene.relative, scene.cell_runs, scene.size)
    return {f"granularity_{side:.0f}um": column for side, column in zip(SIDES_UM, spectrum, strict=True)}


def _haralick(scene: Scene) -> dict[str, Vector]:
    found = measure_texture(quantise(scene.relative), scene.cells, scene.cell_runs, scene.size)
    names = ("haralick_contrast", "haralick_correlation", "haralick_entropy", "haralick_variance")
    return {name: found[:, column] for column, name in enumerate(names)}


def _neighbours(scene: Scene) -> dict[str, Vector]:
    size = scene.size
    # pixels reach half a pixel around their centres
    y, x = (scene.shapes.centroid_y + 0.5) * size, (scene.shapes.centroid_x + 0.5) * size
    rows, columns = scene.cells.shape
    return {
        "neighbour_count": neighbour_counts(scene.cells, size),
        "nearest_distance": nearest_distances(y, x),
        "local_density": local_densities(y, x, (rows * size, columns * size)),
    }


MEASURES: dict[str, Callable[[Scene], dict[str, Vector]]] = {
    "shape": _shape,
    "radii": _radii,
    "curvature": _curvature,
    "nucleus": _nucleus,
    "intensity": _intensity,
    "halo": _halo,
    "granularity": _granularity,
    "haralick": _haralick,
    "neighbours": _neighbours,
}
"""What each family measures on cells; families of the population alone are not here."""
