"""The catalogue: every feature with its name, unit, definition and source; digests of it are feature contracts."""

import functools
import hashlib
from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Feature:
    """One entry: `name` as it stands in tables, `unit`, what it is, and where the definition comes from.

    `version` counts up when the same name comes to mean another number, so that models trained on the earlier one are
    refused.
    """

    name: str
    unit: str
    definition: str
    source: str
    version: int = 1


BASE_CELL = (
    Feature("area", "um2", "area of the cell, nucleus included", "pixel count"),
    Feature("perimeter", "um", "length of the outline, four directions", "Crofton formula, ISO 9276-6"),
    Feature("perimeter_chain", "um", "length of the outline, weighted outline pixels", "Benkrid & Crookes 2000"),
    Feature("max_feret", "um", "largest distance between two parallel tangents", "ISO 9276-6"),
    Feature("min_feret", "um", "smallest distance between two parallel tangents", "ISO 9276-6"),
    Feature("major_axis", "um", "major axis of the ellipse of equal second moments", "Haralick & Shapiro 1992"),
    Feature("minor_axis", "um", "minor axis of the ellipse of equal second moments", "Haralick & Shapiro 1992"),
    Feature("aspect_ratio", "1", "major over minor axis", "ISO 9276-6"),
    Feature("eccentricity", "1", "eccentricity of the ellipse of equal second moments", "Haralick & Shapiro 1992"),
    Feature("solidity", "1", "area over area of the convex hull", "ISO 9276-6"),
    Feature("extent", "1", "area over area of the bounding box", "pixel count"),
    Feature("form_factor", "1", "4 pi area over squared perimeter", "ISO 9276-6"),
    Feature("nucleus_area", "um2", "area of all nuclei of the cell", "pixel count"),
    Feature("nucleus_count", "1", "nuclei in the cell", "label images"),
    Feature("nucleus_cytoplasm_ratio", "1", "nucleus area over the rest of the cell", "Klinker et al. 2017"),
    Feature("nucleus_offset", "1", "distance of nucleus from cell centroid over equivalent radius", "label images"),
    Feature("contrast", "1", "mean over the cell of intensity over local background, minus one", "raw frame"),
    Feature("texture_cv", "1", "standard deviation over the cell of intensity over local background", "raw frame"),
)
"""Features of a cell; NaN where one cannot be measured (no nucleus, no background)."""

SUMMARISED = (
    "area",
    "perimeter",
    "max_feret",
    "min_feret",
    "aspect_ratio",
    "eccentricity",
    "solidity",
    "form_factor",
    "nucleus_area",
    "nucleus_cytoplasm_ratio",
    "nucleus_offset",
    "contrast",
    "texture_cv",
)
"""Cell features of which a frame keeps median, quartile range and outer deciles."""

_WHOLE = (
    Feature("confluency", "1", "share of the frame covered by cells", "label image"),
    Feature("cell_density", "1/cm2", "cells, border cells included, per area of the frame", "label image"),
    Feature("neighbour_distance", "um", "median distance between nearest centroids", "label image"),
    Feature("fraction_spindle", "1", "cells with aspect ratio over 4", "label image"),
    Feature(
        "fraction_large_flat", "1", "cells over 4000 um2 with form factor over 0.3", "Oja et al. 2018 for the size"
    ),
    Feature("fraction_multinucleate", "1", "cells with two nuclei or more", "label images"),
    Feature("fraction_rounded", "1", "cells with form factor over 0.8 and area under 600 um2", "label image"),
)


_STATISTICS = {"median": "median", "iqr": "quartile range", "p10": "10th percentile", "p90": "90th percentile"}


def _spread(features: Iterable[Feature]) -> tuple[Feature, ...]:
    """Return what a frame keeps of cell features."""
    return tuple(
        Feature(f"{feature.name}_{short}", feature.unit, f"{words} over whole cells of: {feature.definition}", "frame")
        for feature in features
        for short, words in _STATISTICS.items()
    )


def _named(features: Iterable[Feature], names: Iterable[str]) -> tuple[Feature, ...]:
    by_name = {feature.name: feature for feature in features}
    return tuple(by_name[name] for name in names)


BASE_POPULATION = _spread(_named(BASE_CELL, SUMMARISED)) + _WHOLE
"""Features that every frame has. Shape statistics leave out cells cut by the border."""


@dataclass(frozen=True, slots=True)
class Family:
    """Features that are measured together, when asked for.

    cells: features of a cell; summarised: names of cell features, of these or of `BASE_CELL`, of which a frame keeps
    median, quartile range and outer deciles; whole: further features of a frame.
    """

    cells: tuple[Feature, ...] = ()
    summarised: tuple[str, ...] = ()
    whole: tuple[Feature, ...] = ()

    @property
    def population(self) -> tuple[Feature, ...]:
        """What a frame has of this family."""
        return _spread(_named((*BASE_CELL, *self.cells), self.summarised)) + self.whole


def _family(cells: tuple[Feature, ...], *more: str) -> Family:
    return Family(cells, (*more, *(feature.name for feature in cells)))


_CELLPROFILER = "CellProfiler MeasureObjectSizeShape, less half a pixel"
_COMPACTNESS = ("compactness", "1", "diameter of the disc of equal area over the largest Feret diameter", "ISO 9276-6")
_RADII = (
    ("max_radius", "um", "largest distance of a pixel to the outline", _CELLPROFILER),
    ("mean_radius", "um", "mean distance of a pixel to the outline", _CELLPROFILER),
    ("median_radius", "um", "median distance of a pixel to the outline", _CELLPROFILER),
)
_INWARD = (
    "mean_negative_curvature",
    "1/um",
    "mean over the outline, smoothed over 2 um, of how far it curves inwards",
    "Mokhtarian & Mackworth 1992 for the smoothing",
)
_NUCLEUS = (*((f.name, f.unit, f.definition, f.source) for f in BASE_CELL[1:12]), _COMPACTNESS, *_RADII, _INWARD)
_HARALICK = (
    "Haralick et al. 1973; 32 levels of 0.6 to 1.4 times the local background, pairs 2 um apart, four directions"
)
_OPENING = "mean over the cell of what an opening with a square of {} um takes from intensity over local background{}"
_ROBUST = "1.4826 times the median absolute deviation over the median of the {}"

FAMILIES: dict[str, Family] = {
    "shape": _family((Feature(*_COMPACTNESS),), "perimeter_chain", "major_axis", "minor_axis", "extent"),
    "radii": _family(
        (
            *(Feature(*row) for row in _RADII),
            Feature("max_centroid_distance", "um", "largest distance from centroid to outline", "Zhang & Lu 2004"),
            Feature("mean_centroid_distance", "um", "mean distance from centroid to outline", "Zhang & Lu 2004"),
            Feature("median_centroid_distance", "um", "median distance from centroid to outline", "Zhang & Lu 2004"),
        )
    ),
    "curvature": _family(
        (
            Feature(*_INWARD),
            Feature(
                "bending_energy",
                "1/um2",
                "mean over the outline, smoothed over 2 um, of the squared curvature",
                "Young, Walker & Bowie 1974",
            ),
        )
    ),
    "nucleus": _family(
        tuple(
            Feature(f"nucleus_{name}", unit, f"largest nucleus: {what}", source)
            for name, unit, what, source in _NUCLEUS
        )
    ),
    "intensity": _family(
        (
            Feature("intensity_mean", "counts", "mean over the cell", "raw frame"),
            Feature("intensity_cv", "1", "standard deviation over mean of the cell", "raw frame"),
            Feature(
                "nucleus_contrast", "1", "mean of the nuclei over mean of the rest of the cell, minus one", "raw frame"
            ),
        )
    ),
    "halo": _family(
        (
            Feature("halo_ratio", "1", "mean of the ground within 4 um of the cell over mean of the cell", "raw frame"),
            Feature("halo_contrast", "1", "mean of that ground over the local background, minus one", "raw frame"),
        )
    ),
    "granularity": _family(
        (
            Feature("granularity_2um", "1", _OPENING.format(2, ""), "pattern spectrum, Maragos 1989"),
            Feature("granularity_4um", "1", _OPENING.format(4, ", beyond 2 um"), "pattern spectrum, Maragos 1989"),
            Feature("granularity_8um", "1", _OPENING.format(8, ", beyond 4 um"), "pattern spectrum, Maragos 1989"),
        )
    ),
    "haralick": _family(
        (
            Feature("haralick_contrast", "1", "contrast of the co-occurrence matrix, squared levels", _HARALICK),
            Feature("haralick_correlation", "1", "correlation of the co-occurrence matrix", _HARALICK),
            Feature("haralick_entropy", "1", "entropy of the co-occurrence matrix, nats", _HARALICK),
            Feature("haralick_variance", "1", "variance of the co-occurrence matrix, squared levels", _HARALICK),
        )
    ),
    "neighbours": _family(
        (
            Feature("neighbour_count", "1", "other cells within 5 um", "CellProfiler MeasureObjectNeighbors"),
            Feature("nearest_distance", "um", "distance from its centroid to the nearest other", "label image"),
            Feature(
                "local_density", "1/cm2", "cells within 150 um, itself included, per area in the frame", "label image"
            ),
        )
    ),
    "heterogeneity": Family(
        whole=(
            Feature("area_robust_cv", "1", _ROBUST.format("area"), "Rousseeuw & Croux 1993"),
            Feature("form_robust_cv", "1", _ROBUST.format("form factor"), "Rousseeuw & Croux 1993"),
            Feature(
                "type_entropy",
                "1",
                "entropy of multinucleate, rounded, spindle, large flat and other cells over its maximum",
                "Shannon 1948",
            ),
        )
    ),
}
"""Families by name: what can be measured beyond `BASE_CELL` and `BASE_POPULATION`."""

CELL = BASE_CELL + tuple(feature for family in FAMILIES.values() for feature in family.cells)
POPULATION = BASE_POPULATION + tuple(feature for family in FAMILIES.values() for feature in family.population)
"""All that can be measured, with all families."""


def population_features(names: Iterable[str]) -> tuple[Feature, ...]:
    """Return the entries of population features in the order given; KeyError, with the name, where there is none."""
    return _named(POPULATION, names)


@functools.cache
def families_for(names: tuple[str, ...]) -> tuple[str, ...]:
    """Return the families, in the order of the catalogue, that have to be measured to know the population features.

    Raises
    ------
    KeyError
        With the name that no family and no frame has.
    """
    wanted = {feature.name for feature in population_features(names)}
    return tuple(
        name for name, family in FAMILIES.items() if any(feature.name in wanted for feature in family.population)
    )


def contract_digest(features: Iterable[Feature]) -> str:
    """Return the sha256 of names, units, versions and order: what a model was trained on and must be given."""
    text = "\n".join(f"{feature.name}\t{feature.unit}\t{feature.version}" for feature in features)
    return hashlib.sha256(text.encode()).hexdigest()
