"""The catalogue: every feature with its name, unit, definition and source; digests of it are feature contracts."""

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


CELL = (
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


def _population() -> tuple[Feature, ...]:
    by_name = {feature.name: feature for feature in CELL}
    statistics = {"median": "median", "iqr": "quartile range", "p10": "10th percentile", "p90": "90th percentile"}
    spread = tuple(
        Feature(
            f"{name}_{short}", by_name[name].unit, f"{words} over whole cells of: {by_name[name].definition}", "frame"
        )
        for name in SUMMARISED
        for short, words in statistics.items()
    )
    return spread + _WHOLE


POPULATION = _population()
"""Features of a frame. Shape statistics leave out cells cut by the border."""


def population_features(names: Iterable[str]) -> tuple[Feature, ...]:
    """Return the entries of population features in the order given; KeyError, with the name, where there is none."""
    by_name = {feature.name: feature for feature in POPULATION}
    return tuple(by_name[name] for name in names)


def contract_digest(features: Iterable[Feature]) -> str:
    """Return the sha256 of names, units, versions and order: what a model was trained on and must be given."""
    text = "\n".join(f"{feature.name}\t{feature.unit}\t{feature.version}" for feature in features)
    return hashlib.sha256(text.encode()).hexdigest()
