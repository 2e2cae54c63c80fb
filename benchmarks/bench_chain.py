"""Maps to a potency estimate: our whole chain against the published one of the same steps.

    python benchmarks/bench_chain.py --labelled FOLDER --pixel-size 0.87 --json OUT.json

The reference: HoVer-Net's post-processing, its table of instances one by one over the whole frame, scikit-image's
properties, medians and quartiles, and three boosters through `Booster.predict`. Ours: `instances_of`, `measure`, and
`PotencyModel.intervals` with its three boosters. Both from maps without error of the same cells; ours decodes and
measures nuclei as well, which are drawn here, the reference cells alone. The first scene shows real cells as an
objective of low power does, about 1,400 in a frame; in the second they are as they were imaged, few and large.
"""

import lightgbm
import numpy as np
import peers
from fields import LOW_POWER, add_fields, drawn_nuclei, fields, low_power, mosaic, perfect_maps
from numpy.typing import NDArray
from rounds import in_turns, parser, write

from monitor.features.featurizer import measure
from monitor.frames.frame import Frame
from monitor.network.checkpoint import SHIPPED, read_card
from monitor.network.segnet import PLANES
from monitor.potency.model import DEMO, QUANTILES, load_model
from monitor.segmentation.labels import instances_of

SIDE = 2048


def main() -> None:
    made = parser(__doc__)
    add_fields(made)
    made.add_argument("--rounds", type=int, default=7)
    args = made.parse_args()
    decoding, model, some = read_card(SHIPPED).decode, load_model(), fields(args)
    boosters = [lightgbm.Booster(model_file=DEMO / f"potency.{name}.txt") for name in QUANTILES]
    measures = []
    scenes = (("", low_power(some), LOW_POWER * args.pixel_size), ("_large_cells", some, args.pixel_size))
    for suffix, shown, size in scenes:
        pixels, truth = mosaic(shown, SIDE)
        ours, theirs = perfect_maps(truth, drawn_nuclei(truth)), peers.hover_maps(truth)
        frame = Frame(pixels, size)

        def chain(maps: NDArray[np.float32] = ours, frame: Frame = frame, size: float = size) -> object:
            found = instances_of(maps, PLANES, decoding, size)
            features = measure(frame, found.cells, found.nuclei)
            row = model.contract.row(features.population)
            assert row is not None
            return model.live_biomarker.answers(row[None])

        def reference(maps: NDArray[np.float32] = theirs, pixels: NDArray[np.generic] = pixels) -> object:
            labels = peers.hover_labels(maps)
            peers.instance_table(labels)
            table = peers.property_table(labels, pixels)
            summary = np.concatenate([np.percentile(column, [25, 50, 75]) for column in table.values()])
            row = np.resize(summary, boosters[0].num_feature())[None]
            return [booster.predict(row, num_threads=1) for booster in boosters]

        against = "HoVer-Net chain, rewritten, with regionprops_table and Booster.predict"
        version = f"{peers.VERSIONS}, lightgbm {lightgbm.__version__}"
        name = f"maps_to_potency{suffix}"
        result = in_turns(name, chain, reference, against=against, version=version, rounds=args.rounds)
        measures.append(result | {"cells": int(truth.max())})
    write(args.json, measures)


if __name__ == "__main__":
    main()
