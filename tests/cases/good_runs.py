"""Simulated runs of features: a course with age, a deviation of each run, frames that err about both."""

import numpy as np

from monitor.culture.reference import ReferenceTrajectory

NAMES = tuple(f"feature{n}_median" for n in range(12))
HOURS = 48
Frames = list[tuple[float, dict[str, float]]]


def run_of(seed: int, *, shift: float = 0.0, shifted: int = 3, per_hour: int = 4) -> Frames:
    """Return a run; the first `shifted` features lie `shift` deviations between runs higher from hour 24 on.

    Features of one run go together: half of their deviation is one number for all of them.
    """
    random = np.random.default_rng(seed)
    own = 4.0 * (np.sqrt(0.5) * random.normal() + np.sqrt(0.5) * random.normal(size=len(NAMES)))
    frames: Frames = []
    for number in range(HOURS * per_hour):
        hour = number / per_hour
        values = 100.0 + 0.8 * hour + own + 3.0 * random.normal(size=len(NAMES))
        if hour >= 24.0:
            values[:shifted] += 4.0 * shift
        frames.append((hour, dict(zip(NAMES, values.tolist(), strict=True))))
    return frames


def reference(runs: int = 12, seed: int = 1000) -> ReferenceTrajectory:
    return ReferenceTrajectory.of({f"run{n}": run_of(seed + n) for n in range(runs)})
