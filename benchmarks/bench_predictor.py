"""One row through a booster: our single-row call against `Booster.predict`, in turns, in one process.

python benchmarks/bench_predictor.py --json benchmarks/results/0.1.0/predictor.json
"""

import argparse
import json
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import lightgbm
import numpy as np
from machine import machine

import monitor
from monitor.potency.model import DEMO, QUANTILES
from monitor.potency.single_row import SingleRowPredictor

ROUNDS = 400
CALLS = 20


def microseconds(call: Callable[[], object]) -> float:
    """Return the mean time of a few calls."""
    started = time.perf_counter()
    for _ in range(CALLS):
        call()
    return 1e6 * (time.perf_counter() - started) / CALLS


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    booster = lightgbm.Booster(model_file=DEMO / f"potency.{next(iter(QUANTILES))}.txt")
    predictor = SingleRowPredictor(booster)
    row = np.random.default_rng(0).normal(0.0, 300.0, booster.num_feature())
    assert predictor.fast and predictor.predict(row) == booster.predict(row[None], num_threads=1)[0]
    ours, peer = [], []
    for _ in range(ROUNDS):
        ours.append(microseconds(lambda: predictor.predict(row)))
        peer.append(microseconds(lambda: booster.predict(row[None], num_threads=1)))
    ours, peer = ours[ROUNDS // 10 :], peer[ROUNDS // 10 :]
    ratios = np.percentile(np.array(peer) / np.array(ours), [5, 50, 95])
    print(f"one row: {statistics.median(ours):.1f} us, Booster.predict {statistics.median(peer):.1f} us")
    print(f"ratio {ratios[1]:.1f} ({ratios[0]:.1f} to {ratios[2]:.1f}, {len(ours)} rounds of {CALLS})")
    if args.json:
        measure = {
            "name": "single_row",
            "ratio": ratios[1],
            "low": ratios[0],
            "high": ratios[2],
            "microseconds": statistics.median(ours),
            "peer_microseconds": statistics.median(peer),
            "peer": "lightgbm.Booster.predict, num_threads=1, one row",
            "peer_version": lightgbm.__version__,
            "repeats": len(ours),
            "trees": booster.num_trees(),
            "features": booster.num_feature(),
        }
        report = {"version": monitor.__version__, "machine": machine(), "measures": [measure]}
        args.json.parent.mkdir(parents=True, exist_ok=True)
        args.json.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
