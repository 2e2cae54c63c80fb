"""Cost of a flask's state per frame, forecasts that came true, and runs that look unlike past ones; all simulated.

    python benchmarks/bench_culture.py --json benchmarks/results/0.1.0/culture.json

Cost: 10,000 flasks, a frame each in turn, as at one frame in 15 minutes; with a reference of twelve features, so that
every detector has work. Memory is the size of a flask's state after so many frames: it has to stay the same.

Forecasts: potency falls in a straight line or towards a plateau, confluency grows logistically; the forecast is asked
for somewhere on the way to the crossing, and counted is how often the true crossing lies in the interval of 90 %.

Likeness: runs of twelve features with a deviation of their own, beside a reference of as many runs as are said.
"""

import math
import pickle
import time
from typing import Any

import numpy as np
from hovering import SHARP, row
from rounds import parser, write

from monitor.culture.forecast import COVERAGE, crossing, logit
from monitor.culture.morphology import MorphologyWatch
from monitor.culture.reference import ReferenceTrajectory
from monitor.culture.rows import FrameRow
from monitor.culture.settings import CultureSettings
from monitor.culture.state import FlaskState

NAMES = tuple(f"feature{number}_median" for number in range(12))
HOURS, PER_HOUR = 48, 4
FLOOR, SD = 70.0, 8.0
Frames = list[tuple[float, dict[str, float]]]


def run_of(seed: int, shift: float = 0.0) -> Frames:
    """Return a run of features; three of them move by `shift` deviations between runs from hour 24 on."""
    random = np.random.default_rng(seed)
    own = 4.0 * math.sqrt(0.5) * (random.normal() + random.normal(size=len(NAMES)))
    frames: Frames = []
    for number in range(HOURS * PER_HOUR):
        hour = number / PER_HOUR
        values = 100.0 + 0.8 * hour + own + 3.0 * random.normal(size=len(NAMES))
        values[:3] += 4.0 * shift if hour >= 24.0 else 0.0
        frames.append((hour, dict(zip(NAMES, values.tolist(), strict=True))))
    return frames


def reference_of(runs: int, seed: int) -> ReferenceTrajectory:
    """Return the reference of so many runs."""
    return ReferenceTrajectory.of({f"run{number}": run_of(seed + number) for number in range(runs)})


def alarmed_at(reference: ReferenceTrajectory, frames: Frames) -> float | None:
    """Return the hour at which two comparisons in a row find a difference."""
    settings, bad = CultureSettings(), 0
    watch = MorphologyWatch(reference, settings.window_frames, settings.morphology_rate)
    for hour, features in frames:
        bad = bad + 1 if watch.judge(hour, features, active=False).bad else 0
        if bad >= settings.raise_after_frames:
            return hour
    return None


def likeness(references: int) -> list[dict[str, Any]]:
    """Return the share of healthy runs that alarm, and of strange ones that are found."""
    measures = []
    for runs in (6, 12, 24):
        false, found = [], []
        for number in range(references):
            reference = reference_of(runs, 5000 + 100 * number)
            false += [alarmed_at(reference, run_of(9000 + 50 * number + seed)) is not None for seed in range(25)]
            strange = [alarmed_at(reference, run_of(20000 + 50 * number + seed, 4.0)) for seed in range(8)]
            found += [hour is not None and hour >= 24.0 for hour in strange]
        measures.append(share(f"morphology_false_alarms_per_run_{runs}_runs", false))
        measures.append(share(f"morphology_found_4_sd_{runs}_runs", found))
    return measures


def remembering(random: np.random.Generator, count: int, memory: float) -> np.ndarray:
    """Return noise of deviation 1 whose neighbours err together."""
    steps, values = random.normal(size=count) * math.sqrt(1.0 - memory**2), np.empty(count)
    values[0] = random.normal()
    for index in range(1, count):
        values[index] = memory * values[index - 1] + steps[index]
    return values


def course(random: np.random.Generator, kind: str, hours: np.ndarray) -> tuple[np.ndarray, float, bool]:
    """Return a true course, its limit and whether it falls; potency begins to fall at hour 20."""
    after = np.maximum(hours - 20.0, 0.0)
    if kind == "line":
        return 95.0 - random.uniform(0.5, 3.0) * after, FLOOR, True
    if kind == "plateau":
        low = random.uniform(20.0, 50.0)
        return low + (95.0 - low) * np.exp(-after / random.uniform(8.0, 30.0)), FLOOR, True
    return logit(0.1) + hours * random.uniform(0.03, 0.09), logit(0.8), False


def coverage(kind: str, memory: float, flasks: int) -> list[dict[str, Any]]:
    """Return how often the true crossing lies in the forecast's interval, and how often one is given."""
    random, hours = np.random.default_rng(1), np.arange(0.0, 120.0, 0.25)
    inside, given, widths = [], [], []
    for _ in range(flasks):
        true, limit, falling = course(random, kind, hours)
        seen = true + (SD if falling else 0.15) * remembering(random, len(hours), memory)
        crossed = true <= limit if falling else true >= limit
        if not crossed.any():
            continue
        at = float(hours[np.argmax(crossed)])
        start = 20.0 if falling else 0.0
        now = start + (at - start) * random.uniform(0.4, 0.95)
        past = hours <= now
        found = crossing(hours[past].tolist(), seen[past].tolist(), limit, falling=falling)
        given.append(found is not None)
        if found is not None:
            inside.append(found.low <= at - now <= found.high)
            widths.append(found.high - found.low)
    name = f"forecast_coverage_{kind}_ar{round(10 * memory):02d}"
    measure = share(name, inside) | {"nominal": COVERAGE, "given": round(float(np.mean(given)), 3)}
    return [measure | {"median_width_h": round(float(np.median(widths)), 2)}]


def share(name: str, happened: list[bool]) -> dict[str, Any]:
    """Return a share with its 95 % interval (Wilson), and print it."""
    count, p = len(happened), float(np.mean(happened))
    z2 = 1.96**2
    middle = (p + z2 / (2 * count)) / (1.0 + z2 / count)
    half = 1.96 * math.sqrt(p * (1.0 - p) / count + z2 / (4 * count**2)) / (1.0 + z2 / count)
    return told(name, p, max(0.0, middle - half), min(1.0, middle + half), seen=count)


def told(name: str, value: float, low: float, high: float, **more: float) -> dict[str, Any]:
    """Return one measure and print it."""
    print(f"{name:44} {value:10.4f}  ({low:.4f} to {high:.4f})", flush=True)
    return {"name": name, "value": round(value, 5), "low": round(low, 5), "high": round(high, 5)} | more


def cost(flasks: int, rounds: int) -> list[dict[str, Any]]:
    """Return milliseconds per frame over a fleet, and bytes of a flask's state as frames come."""
    settings = CultureSettings(reference=reference_of(12, 5000))
    random = np.random.default_rng(7)
    states = [FlaskState("A1", settings) for _ in range(flasks)]
    for state in states:  # past the beginning, in which less is done
        for number in range(8):
            state.step(_row(random, number))
    times = []
    for number in range(8, 8 + rounds):
        frames = [_row(random, number) for _ in range(100)]
        started = time.perf_counter()
        for index, state in enumerate(states):
            state.step(frames[index % 100])
        times.append(1000.0 * (time.perf_counter() - started) / flasks)
    one, sizes = FlaskState("A1", settings), {}
    for number in range(4001):
        one.step(_row(random, number))
        if number in (1000, 2000, 4000):
            sizes[number] = len(pickle.dumps(one))
    spread = max(sizes.values()) / min(sizes.values())
    return [
        told("frame_cost_ms", float(np.median(times)), min(times), max(times), flasks=flasks),
        told("state_bytes_per_flask", sizes[4000], min(sizes.values()), max(sizes.values()), growth=round(spread, 4)),
    ]


def _row(random: np.random.Generator, number: int) -> FrameRow:
    noise = float(random.normal())
    frame = row(number, SHARP.model_copy(update={"focus": 1.0 + 0.02 * noise}), potency=85.0 + SD * noise)
    features = {name: 100.0 + 0.2 * number + 3.0 * float(random.normal()) for name in NAMES}
    return frame.model_copy(update={"features": features, "hours": number / PER_HOUR % HOURS})


def main() -> None:
    made = parser(__doc__)
    made.add_argument("--flasks", type=int, default=10_000, help="flasks of the fleet whose cost is measured")
    made.add_argument("--courses", type=int, default=1000, help="flasks per kind of course that is forecast")
    made.add_argument("--references", type=int, default=8, help="references per number of runs")
    args = made.parse_args()
    measures = cost(args.flasks, 5)
    for kind in ("line", "plateau", "growth"):
        for memory in (0.0, 0.3, 0.5):
            measures += coverage(kind, memory, args.courses)
    measures += likeness(args.references)
    write(args.json, measures, peer="none", peer_version="", settings=CultureSettings().model_dump(mode="json"))


if __name__ == "__main__":
    main()
