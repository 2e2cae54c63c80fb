"""What a recalibration is worth on flasks that nobody has seen, on simulated results: coverage before and after.

python benchmarks/bench_recalibration.py --json benchmarks/results/0.1.0/recalibration.json

An estimate of a flask is normal around 50, its interval reaches 6 to both sides, of nominal 90 %; results lie around
the estimate by the amounts below. No real cells.
"""

import argparse
import json
from pathlib import Path

import numpy as np
from machine import machine

import monitor
from monitor.potency.calibration import Interval
from monitor.potency.pooled import pooled
from monitor.potency.recalibration import Evidence, recalibrate

BEFORE = Interval(coverage=0.9, offset=1.0)
TRIES = 200
NEW = 4000
CASES = {
    "eight off": (8.0, 3.5),
    "spread twice as far": (0.0, 8.0),
    "spread half as far": (0.0, 1.5),
    "nothing wrong": (0.0, 3.65),
}
"""Mean and standard deviation of result minus estimate, over flasks."""


def evidence(random: np.random.Generator, flasks: int, shift: float, scale: float) -> Evidence:
    """Return results of flasks with four frames each."""
    middle = random.normal(50.0, 10.0, flasks)
    truth = middle + shift + random.normal(0.0, scale, flasks)
    heads = np.array([-5.0, 0.0, 5.0])
    return Evidence(
        [at + heads + random.normal(0.0, 0.5, (4, 1)) for at in middle], truth, np.arange(flasks).astype(str)
    )


def inside(interval: Interval, answer: np.ndarray, truth: np.ndarray) -> float:
    """Return how often an interval holds the truth; the frames' noise averages out of pooled answers."""
    found = interval.applied(answer)
    return float(((truth >= found[:, 0]) & (truth <= found[:, 2])).mean())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    random = np.random.default_rng(0)
    rows = []
    for name, (shift, scale) in CASES.items():
        new = evidence(random, NEW, shift, scale)
        answer = np.array([pooled(frames) for frames in new.raw])
        for flasks in (20, 40, 100):
            found = [recalibrate(evidence(random, flasks, shift, scale), BEFORE) for _ in range(TRIES)]
            after = [inside(one.interval, answer, new.truth) for one in found]
            rows.append(
                {
                    "case": name,
                    "flasks": flasks,
                    "coverage_before": inside(BEFORE, answer, new.truth),
                    "coverage_after_mean": float(np.mean(after)),
                    "coverage_after_p10": float(np.quantile(after, 0.1)),
                    "accepted": float(np.mean([one.better for one in found])),
                }
            )
            print(
                ", ".join(
                    f"{key} {value:.3g}" if isinstance(value, float) else f"{value}" for key, value in rows[-1].items()
                )
            )
    if args.json:
        report = {"version": monitor.__version__, "machine": machine(), "simulated": True, "tries": TRIES, "rows": rows}
        args.json.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
