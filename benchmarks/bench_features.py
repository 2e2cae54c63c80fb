"""Label images to features: one pass of ours against scikit-image's table, on the same cells.

    python benchmarks/bench_features.py --labelled FOLDER --pixel-size 0.87 --json OUT.json

Shared properties are held against each other first, to 1e-6. Hull, solidity and Feret diameters are left out of that:
ours are of pixel corners and scikit-image's of pixel centres (see `monitor/features/shape.py`). Our time holds the
nuclei and all features of the population too. The first scene shows real cells as an objective of low power does, about
1,400 in a frame; in the second they are as they were imaged, few and large.
"""

import numpy as np
import peers
import skimage
from fields import LOW_POWER, add_fields, drawn_nuclei, fields, low_power, mosaic
from numpy.typing import NDArray
from rounds import in_turns, parser, write

from monitor.features.featurizer import measure
from monitor.features.shape import measure_shapes
from monitor.frames.frame import Frame

SIDE = 2048


def largest_difference(labels: NDArray[np.int32], pixels: NDArray[np.generic]) -> float:
    """Return the largest relative difference in the properties that mean the same in both."""
    theirs, shapes = peers.property_table(labels, pixels), measure_shapes(labels)
    ours = measure(Frame(pixels, 1.0), labels, np.zeros_like(labels)).cells
    pairs = {
        "area": ours["area"],
        "area_bbox": shapes.box_area,
        "axis_major_length": ours["major_axis"],
        "axis_minor_length": ours["minor_axis"],
        "centroid-0": shapes.centroid_y,
        "centroid-1": shapes.centroid_x,
        "eccentricity": ours["eccentricity"],
        "extent": ours["extent"],
        "perimeter": ours["perimeter_chain"],
        "perimeter_crofton": ours["perimeter"],
    }
    return max(
        float((np.abs(value - theirs[name]) / np.maximum(np.abs(theirs[name]), 1.0)).max())
        for name, value in pairs.items()
    )


def main() -> None:
    made = parser(__doc__)
    add_fields(made)
    made.add_argument("--rounds", type=int, default=7)
    args = made.parse_args()
    some, measures, differences = fields(args), [], []
    scenes = (("", low_power(some), LOW_POWER * args.pixel_size), ("_large_cells", some, args.pixel_size))
    for suffix, shown, size in scenes:
        pixels, labels = mosaic(shown, SIDE)
        differences.append(largest_difference(labels, pixels))
        print(f"{labels.max()} cells; shared properties differ by at most {differences[-1]:.1e}")
        assert differences[-1] < 1e-6
        frame, nuclei = Frame(pixels, size), drawn_nuclei(labels)
        result = in_turns(
            f"labels_to_features{suffix}",
            lambda frame=frame, labels=labels, nuclei=nuclei: measure(frame, labels, nuclei),
            lambda pixels=pixels, labels=labels: peers.property_table(labels, pixels),
            against="skimage.measure.regionprops_table, 20 properties in 24 columns",
            version=f"scikit-image {skimage.__version__}",
            rounds=args.rounds,
        )
        measures.append(result | {"cells": int(labels.max())})
    write(args.json, measures, largest_difference=max(differences))


if __name__ == "__main__":
    main()
