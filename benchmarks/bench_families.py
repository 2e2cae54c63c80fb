"""Families of features: what each costs on a frame of 1,024 pixels, and two of them against what people use for it.

    python benchmarks/bench_families.py --labelled FOLDER --pixel-size 0.87 --json OUT.json

Cells are shown as an objective of low power does. A family's time is that of measuring it with what every frame has,
less that of the latter in the same turn.
"""

import statistics

import numpy as np
import scipy
import skimage
from fields import LOW_POWER, add_fields, drawn_nuclei, fields, low_power, mosaic
from numpy.typing import NDArray
from rounds import in_turns, parser, seconds, write
from scipy import ndimage
from skimage.feature import graycomatrix, graycoprops
from skimage.measure import regionprops

from monitor.features.catalogue import FAMILIES
from monitor.features.featurizer import measure
from monitor.features.label_runs import label_runs
from monitor.features.radii import depths
from monitor.features.texture import LEVELS, measure_texture, offsets, quantise
from monitor.frames.frame import Frame

SIDE = 1024
PROPERTIES = ("contrast", "correlation", "entropy", "variance")
ANGLES = (0.0, np.pi / 4.0, np.pi / 2.0, 3.0 * np.pi / 4.0)


def texture_of_each(levels: NDArray[np.uint8], labels: NDArray[np.int32], size: float) -> NDArray[np.float64]:
    """Return Haralick's properties cell by cell with scikit-image."""
    distance = int(offsets(size)[0, 1])
    found = []
    for region in regionprops(labels):
        inside = np.where(region.image, levels[region.slice] + 1, 0).astype(np.uint8)
        pairs = graycomatrix(inside, [distance], ANGLES, levels=LEVELS + 1, symmetric=True)[1:, 1:]
        found.append([graycoprops(pairs, name).mean() for name in PROPERTIES])
    return np.array(found)


def depths_of_each(labels: NDArray[np.int32]) -> NDArray[np.float64]:
    """Return radii cell by cell with the distance transform of scipy."""
    found = []
    for region in regionprops(labels):
        depth = ndimage.distance_transform_edt(np.pad(region.image, 1))[1:-1, 1:-1][region.image] - 0.5
        found.append([depth.max(), depth.mean(), np.median(depth)])
    return np.array(found)


def main() -> None:
    made = parser(__doc__)
    add_fields(made)
    made.add_argument("--rounds", type=int, default=9)
    args = made.parse_args()
    size = LOW_POWER * args.pixel_size
    pixels, labels = mosaic(low_power(fields(args)), SIDE)
    frame, nuclei, runs = Frame(pixels, size), drawn_nuclei(labels), label_runs(labels)
    print(f"{labels.max()} cells")

    def cost(families: tuple[str, ...]) -> float:
        turns = [
            (
                seconds(lambda: measure(frame, labels, nuclei, families=families)),
                seconds(lambda: measure(frame, labels, nuclei)),
            )
            for _ in range(args.rounds + 2)
        ]
        return 1000.0 * statistics.median(more - base for more, base in turns[2:])

    families_ms = {name: round(cost((name,)), 2) for name in FAMILIES}
    families_ms["all"] = round(cost(tuple(FAMILIES)), 2)
    for name, milliseconds in families_ms.items():
        print(f"{name:28} {milliseconds:10.2f} ms")
    levels = quantise((pixels / np.median(pixels)).astype(np.float32))
    np.testing.assert_allclose(depths(labels, runs), depths_of_each(labels), rtol=1e-6)
    theirs = texture_of_each(levels, labels, size)
    ours = measure_texture(levels, labels, runs, size)
    varied = np.isfinite(ours).all(axis=1)
    np.testing.assert_allclose(ours[varied], theirs[varied], rtol=1e-6)
    measures = [
        in_turns(
            "radii",
            lambda: depths(labels, runs),
            lambda: depths_of_each(labels),
            against="scipy.ndimage.distance_transform_edt, cell by cell",
            version=f"scipy {scipy.__version__}",
            rounds=args.rounds,
        ),
        in_turns(
            "haralick",
            lambda: measure_texture(levels, labels, runs, size),
            lambda: texture_of_each(levels, labels, size),
            against="skimage.feature.graycomatrix and graycoprops, cell by cell",
            version=f"scikit-image {skimage.__version__}",
            rounds=args.rounds,
        ),
    ]
    write(args.json, measures, families_ms=families_ms, cells=int(labels.max()), side_px=SIDE)


if __name__ == "__main__":
    main()
