"""Maps to label images: ours against the published HoVer-Net chain, from maps without error of the same cells.

    python benchmarks/bench_labels.py --labelled FOLDER --pixel-size 0.87 --json OUT.json

Both get the maps that their own network would give if it made no mistake, on real outlines of touching cells where a
labelled folder is given; both are scored against those outlines, so that neither is fast by being wrong.
"""

import numpy as np
import peers
from fields import add_fields, fields, mosaic, perfect_maps
from numpy.typing import NDArray
from rounds import in_turns, parser, write

from monitor.network.checkpoint import SHIPPED, read_card
from monitor.network.segnet import PLANES
from monitor.segmentation.labels import instances_of
from monitor.training.metrics import match_instances, score

SIDES = (2048, 1024)
"""The first, a whole camera frame, gives the measure its name."""


def equal(truth: NDArray[np.int32], found: NDArray[np.int32]) -> float:
    """Return the share of equal pixels, each found instance named by the true one that it shares most with."""
    table = np.zeros((truth.max() + 1, found.max() + 1), np.int64)
    np.add.at(table, (truth.ravel(), found.ravel()), 1)
    named = table.argmax(axis=0)
    named[0] = 0
    return float((named[found] == truth).mean())


def main() -> None:
    made = parser(__doc__)
    add_fields(made)
    made.add_argument("--rounds", type=int, default=15)
    args = made.parse_args()
    decoding = read_card(SHIPPED).decode
    some = fields(args)
    measures, quality = [], {}
    for side in SIDES:
        _, truth = mosaic(some, side)
        ours, theirs = perfect_maps(truth), peers.hover_maps(truth)
        result = in_turns(
            "maps_to_labels" + ("" if side == SIDES[0] else f"_{side}"),
            lambda maps=ours: instances_of(maps, PLANES, decoding, args.pixel_size),
            lambda maps=theirs: peers.hover_labels(maps),
            against="HoVer-Net post-processing, rewritten",
            version=peers.VERSIONS,
            rounds=args.rounds,
        )
        found = {
            "ours": instances_of(ours, PLANES, decoding, args.pixel_size).cells,
            "peer": peers.hover_labels(theirs),
        }
        quality[str(side)] = {"cells": int(truth.max()), "covered": round(float((truth > 0).mean()), 3)} | {
            who: {
                "AP50": round(score([match_instances(truth, labels)]).ap50, 4),
                "pixels_equal": round(equal(truth, labels), 5),
            }
            for who, labels in found.items()
        }
        print(f"  {side} px: {quality[str(side)]}")
        measures.append(result)
    write(args.json, measures, quality=quality, source="labelled folder" if args.labelled else "simulated frames")


if __name__ == "__main__":
    main()
