"""Make the demonstration potency model: simulate flasks, segment them with the shipped network, measure, train.

The result is for the demo and the tests: it has seen simulated cultures only. Run it again when the weights of the
segmentation network or the feature catalogue change:

    python benchmarks/train_demo_potency.py --out monitor/potency/demo_model --json report.json

With `--reference` only the medians that explanations compare with are renewed; trees and answers stay.
"""

import argparse
import json
import math
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import numpy as np

from monitor.features.catalogue import POPULATION
from monitor.features.featurizer import measure
from monitor.frames.frame import Frame
from monitor.network.checkpoint import read_card
from monitor.potency.bundle import read_bundle, verify_bundle, write_manifest
from monitor.potency.reference import FeatureReference
from monitor.potency.table import Target, TrainingTable
from monitor.potency.train import TrainingPlan, train_potency
from monitor.segmentation.segmenter import Segmentation, load_segmenter
from monitor.synthetic.culture import Culture, CultureSpec, training_fleet

TIME_POINTS = (0, 18, 40)
"""Young and crowded frames of each flask, so that crowding is known and cannot pass for potency."""
BASES = (
    "area", "perimeter", "max_feret", "min_feret", "aspect_ratio", "form_factor", "nucleus_area",
    "nucleus_cytoplasm_ratio",
)  # fmt: skip
FEATURES = tuple(
    feature.name
    for feature in POPULATION
    if feature.name.rsplit("_", 1)[0] in BASES
    or feature.name in ("fraction_large_flat", "fraction_multinucleate", "confluency", "neighbour_distance")
)
FAMILIAR = (
    "area_median", "perimeter_median", "max_feret_median", "aspect_ratio_median", "form_factor_median",
    "nucleus_area_median", "nucleus_cytoplasm_ratio_median",
)  # fmt: skip
FALSE_ALARM = 0.01
CARD = {
    "name": "demonstration potency model",
    "target": "potency in percent of the reference lot, as defined in monitor.synthetic.culture (simulated)",
    "data": "simulated cultures only; features as the shipped segmentation network measures them",
    "licence": "Apache-2.0",
    "intended_use": "the demo, the tests and a look at how the chain works",
    "must_not_be_used_for": "any decision about real cells: it has never seen one",
}


def _flask_rows(spec: CultureSpec) -> list[tuple[list[float], float, str]]:
    segmenter = load_segmenter(threads=1)
    culture = Culture(spec)
    rows = []
    for time_index in TIME_POINTS:
        phantom = culture.frame(spec.positions[0], time_index)
        frame = Frame(phantom.pixels, phantom.pixel_size_um)
        (found,) = segmenter.segment([frame])
        if isinstance(found, Segmentation):
            population = measure(frame, found.cells, found.nuclei).population
            row = [population.get(name, math.nan) for name in FEATURES]
            if all(math.isfinite(value) for value in row):
                rows.append((row, culture.true_potency(time_index), spec.flask))
    return rows


def renew_reference(folder: Path, rows: np.ndarray) -> None:
    """Write the medians of the training frames into a model, where those it has already come out the same."""
    verify_bundle(folder)
    spec = read_bundle(folder).spec
    reference = FeatureReference.fit(spec.reference.of, FEATURES, rows, None)
    for name, medians in spec.reference.medians.items():
        print(f"{name:32} {medians[0]:.6g} -> {reference.medians[name][0]:.6g}")
        if not np.allclose(medians, reference.medians[name], rtol=1e-6):
            raise SystemExit("these are other frames than those of the training; train the model anew")
    text = spec.model_copy(update={"reference": reference}).model_dump_json(indent=1) + "\n"
    (folder / "model.json").write_text(text, encoding="utf-8")
    write_manifest(folder)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--out", type=Path, required=True, help="model folder to write")
    parser.add_argument("--flasks", type=int, default=160)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--json", type=Path, help="write the report here")
    parser.add_argument(
        "--reference", action="store_true", help="renew the reference medians of the model in --out only"
    )
    args = parser.parse_args()
    with ProcessPoolExecutor(2) as pool:
        fleet = training_fleet(args.seed, args.flasks)
        found = [row for rows in pool.map(_flask_rows, fleet, chunksize=4) for row in rows]
    rows = np.array([row for row, _, _ in found])
    if args.reference:
        renew_reference(args.out, rows)
        return
    target = np.array([target for _, target, _ in found])
    table = TrainingTable(
        features=FEATURES,
        rows=rows,
        targets={"potency": Target(target, "% of the reference lot")},
        group=np.array([group for _, _, group in found]),
    )
    card = CARD | {"segmenter_weights": read_card().sha256, "flasks": args.flasks, "seed": args.seed}
    plan = TrainingPlan(familiar=FAMILIAR, false_alarm=FALSE_ALARM)
    report = train_potency(table, args.out, card, plan)["potency"].model_dump(mode="json", exclude={"folds"})
    for name, value in report.items():
        print(f"{name:24} {value:.3f}" if isinstance(value, float) else f"{name:24} {value}")
    if args.json:
        args.json.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
