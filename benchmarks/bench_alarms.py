"""False alarms and delays of the potency alarm on simulated fleets, beside detectors of a streaming library.

    python benchmarks/bench_alarms.py --json benchmarks/results/0.1.0/alarms.json --plot alarms.png

A fleet is 24 flasks, each watched for 30 days at one frame in 15 minutes. Frame potencies are simulated: a level of the
flask's own, a deviation of 8 points, and neighbouring frames that err together by a first-order autoregression. No
detector knows level, deviation or memory beforehand. After an alarm a detector starts anew, as after an operator has
dealt with it. Nothing here is about real cells: it is about whether the alarm keeps the budget that it was given.

River's detectors (`pip install "cellvigil[bench]"`) see the same values from the same frame on; PageHinkley both as it
comes and with its threshold set on fleets of their own to the same budget.
"""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from hovering import SERIES, activations, crossings, flood
from rounds import parser, write
from scipy.stats import chi2

from monitor.culture.potency import PotencyWatch
from monitor.culture.settings import CultureSettings
from monitor.drift.cusum import LowerCusum
from services.figure import BLUE, SOFT, image_of, new_figure, plain

FLASKS, DAYS, PER_DAY = 24, 30, 96
FRAMES = DAYS * PER_DAY
LEARN = CultureSettings().baseline_frames
WEEK = 7 * PER_DAY * FLASKS
START, STEP = datetime(2026, 3, 10, tzinfo=UTC), timedelta(minutes=15)
LEVEL, SD = 85.0, 8.0
CHANGE_AT = 10 * PER_DAY
RAMPS = (0.01, 0.02, 0.05, 0.1)
RAMP_TABLE = {0.01: 56.9, 0.02: 36.4, 0.05: 20.5, 0.1: 13.3}
"""Frames until a lower CUSUM of k 0.5 and h 5 with known parameters finds a ramp of so many deviations a frame."""


class Watcher(Protocol):
    """What takes one frame's potency after the other and says when it falls."""

    def falls(self, potency: float) -> bool:
        """Take the next frame."""


class Ours:
    """The potency alarm as it is shipped."""

    def __init__(self) -> None:
        self._watch, self._at = PotencyWatch(CultureSettings()), START

    def falls(self, potency: float) -> bool:
        """See `Watcher`."""
        self._at += STEP
        if self._watch.judge(potency, self._at) is None:
            return False
        self._watch.reset()
        return True


class River:
    """A detector of river; those that cannot be started anew begin again after each alarm."""

    def __init__(self, make: Callable[[], Any]) -> None:
        self._make, self._detector, self._seen = make, make(), 0

    def falls(self, potency: float) -> bool:
        """See `Watcher`."""
        self._seen += 1
        self._detector.update(potency)
        if not self._detector.drift_detected or self._seen <= LEARN:
            return False
        self._detector = self._make()
        return True


def series(random: np.random.Generator, memory: float, frames: int = FRAMES) -> np.ndarray:
    """Return simulated potencies of a healthy flask."""
    steps = random.normal(size=frames) * math.sqrt(1.0 - memory**2)
    values = np.empty(frames)
    values[0] = random.normal()
    for index in range(1, frames):
        values[index] = memory * values[index - 1] + steps[index]
    return LEVEL + random.normal(0.0, 6.0) + SD * values


def alarms(watcher: Watcher, potencies: np.ndarray) -> Iterator[int]:
    """Yield the frames at which a watcher says that potency falls."""
    for index, potency in enumerate(potencies.tolist()):
        if watcher.falls(potency):
            yield index


@dataclass(frozen=True)
class Rate:
    """False alarms in a week over 24 flasks, with a 95 % interval (Poisson); how many were seen, in how many weeks."""

    value: float
    low: float
    high: float
    seen: int
    weeks: float


def false_alarms(make: Callable[[], Watcher], memory: float, fleets: int, seed: int) -> Rate:
    """Watch healthy fleets."""
    random = np.random.default_rng(seed)
    seen = sum(1 for _ in range(fleets * FLASKS) for _ in alarms(make(), series(random, memory)))
    weeks = fleets * FLASKS * (FRAMES - LEARN) / WEEK
    low, high = chi2.ppf(0.025, 2 * seen) / 2.0 if seen else 0.0, chi2.ppf(0.975, 2 * seen + 2) / 2.0
    return Rate(seen / weeks, low / weeks, high / weeks, seen, weeks)


def delays(
    make: Callable[[], Watcher], fall: Callable[[np.ndarray], np.ndarray], flasks: int, seed: int, *, within: int
) -> tuple[float, float, float]:
    """Return mean delay in frames, its standard error, and the share that was not found `within` so many frames.

    `fall` gives, in deviations, how far potency lies below at 1, 2, ... frames after the change. A flask that had a
    false alarm before the change is left out.
    """
    random, found, missed = np.random.default_rng(seed), [], 0
    for _ in range(flasks):
        values = series(random, 0.0, CHANGE_AT + within)
        values[CHANGE_AT:] -= SD * fall(np.arange(1, within + 1))
        first = next(alarms(make(), values), None)
        if first is None:
            missed += 1
        elif first >= CHANGE_AT:
            found.append(first - CHANGE_AT + 1)
    error = float(np.std(found) / math.sqrt(len(found))) if found else math.nan
    return float(np.mean(found)) if found else math.nan, error, missed / flasks


def known_ramp(ramp: float, runs: int, seed: int) -> float:
    """Return the mean delay of the shipped CUSUM against a ramp, with known parameters: the table's own conditions."""
    random, found = np.random.default_rng(seed), []
    for _ in range(runs):
        detector, index = LowerCusum(0.5, 5.0), 0
        while True:
            index += 1
            if detector.update(float(random.normal(-ramp * index, 1.0))) is not None:
                break
        found.append(index)
    return float(np.mean(found))


def threshold_for(make: Callable[[float], Callable[[], Watcher]], wanted: float, fleets: int) -> float:
    """Return the threshold at which a watcher has so many false alarms a week, by bisection on fleets of its own."""
    low, high = 10.0, 100_000.0
    for _ in range(12):
        middle = math.sqrt(low * high)
        if false_alarms(make(middle), 0.0, fleets, 77).value > wanted:
            low = middle
        else:
            high = middle
    return math.sqrt(low * high)


def peers(fleets: int, wanted: float) -> tuple[dict[str, Callable[[], Watcher]], str]:
    """Return river's detectors and its version; none where it is not installed."""
    try:
        import river
        from river import drift
    except ImportError:
        return {}, "not installed"

    def page_hinkley(threshold: float) -> Callable[[], Watcher]:
        return lambda: River(
            lambda: drift.PageHinkley(min_instances=LEARN, delta=0.5 * SD, threshold=threshold, alpha=1.0, mode="down")
        )

    tuned = threshold_for(page_hinkley, wanted, max(1, fleets // 8))
    return {
        "river_adwin": lambda: River(lambda: drift.ADWIN()),
        "river_page_hinkley": lambda: River(lambda: drift.PageHinkley(mode="down")),
        f"river_page_hinkley_tuned_{tuned:.0f}": page_hinkley(tuned),
    }, river.__version__


def measure(name: str, value: float, low: float, high: float, **more: float | str) -> dict[str, Any]:
    """Return one measure and print it; what could not be measured is null."""
    print(f"{name:58} {value:9.3f}  ({low:.3f} to {high:.3f})", flush=True)
    numbers = {"value": value, "low": low, "high": high}
    return {"name": name} | {key: None if math.isnan(n) else round(n, 4) for key, n in numbers.items()} | more


def of_watcher(name: str, make: Callable[[], Watcher], fleets: int, flasks: int) -> list[dict[str, Any]]:
    """Return false alarms and delays of one watcher."""
    suffix = "" if name == "ours" else f"_{name}"
    rates = {memory: false_alarms(make, memory, fleets, 11) for memory in (0.0, 0.3, 0.5)}
    still = rates[0.0]
    found = [
        measure(
            f"false_alarms_per_week_24_flasks{suffix}", still.value, still.low, still.high, seen=still.seen,
            weeks=round(still.weeks, 1),
        )
    ]  # fmt: skip
    for memory in (0.3, 0.5):
        rate = rates[memory]
        label = f"false_alarm_factor_ar{round(10 * memory):02d}{suffix}"
        found.append(measure(label, rate.value, rate.low, rate.high, of="the budget of one a week"))
    for label, sigma in (("1_sigma", 1.0), ("2_sigma", 2.0)):
        mean, error, missed = delays(make, lambda after, s=sigma: np.full(len(after), s), flasks, 5, within=400)
        found.append(
            measure(f"delay_frames_{label}{suffix}", mean, mean - 2 * error, mean + 2 * error, missed=round(missed, 4))
        )
    for ramp in RAMPS:
        mean, error, missed = delays(make, lambda after, r=ramp: r * after, flasks, 6, within=800)
        label = f"delay_frames_ramp_{ramp:g}{suffix}"
        found.append(measure(label, mean, mean - 2 * error, mean + 2 * error, missed=round(missed, 4)))
    return found


def chatter(seeds: int) -> list[dict[str, Any]]:
    """Return how often alarms are raised by values that hover at their limits, and what a plain threshold would do."""
    plain = [crossings(seed) for seed in range(seeds)]
    found = {name: [activations(name, seed) for seed in range(seeds)] for name in SERIES}
    worst = max(found, key=lambda name: float(np.mean(found[name])))
    counts = found[worst]
    each = {f"mean_{name}": round(float(np.mean(counts)), 2) for name, counts in found.items()}
    return [
        measure(
            "chatter_activations", float(np.mean(counts)), min(counts), max(counts), of=worst, samples=2000, **each
        ),
        measure("chatter_activations_plain_threshold", float(np.mean(plain)), min(plain), max(plain), samples=2000),
    ]


def floods() -> list[dict[str, Any]]:
    """Return how many notifications a fleet makes that crosses together, at once and over ten minutes."""
    runs = [flood(flasks, within_s, seed) for flasks in (24, 240) for within_s in (1.0, 600.0) for seed in range(3)]
    most = [run.most for run in runs]
    told = all(run.told == flasks for run, flasks in zip(runs, [24] * 6 + [240] * 6, strict=True))
    waits = [run.longest_wait_s for run in runs]
    return [
        measure("flood_notifications_in_10_min", max(most), min(most), max(most), all_told="yes" if told else "no"),
        measure("flood_longest_wait_s", max(waits), min(waits), max(waits)),
    ]


def draw(measures: list[dict[str, Any]], names: list[str], file: Path) -> None:
    """Draw false alarms against delay: a dot for each watcher without memory in the series, a square with 0.5."""
    figure = new_figure(900, 540)
    axes = figure.subplots()
    plain(axes, "dot: frames err apart; square: neighbouring frames err together (0.5)")
    values = {row["name"]: row["value"] for row in measures}
    for name in names:
        suffix = "" if name == "ours" else f"_{name}"
        delay = values[f"delay_frames_1_sigma{suffix}"]
        if delay is None:
            continue
        of_series = ("false_alarms_per_week_24_flasks", "false_alarm_factor_ar05")
        still, together = (max(values[f"{kind}{suffix}"], 0.01) for kind in of_series)
        colour, away = ("#c0392b", 9) if name == "ours" else (BLUE, -18)
        axes.plot([still, together], [delay, delay], color=colour, clip_on=False)
        axes.plot(still, delay, "o", color=colour, clip_on=False)
        axes.plot(together, delay, "s", color=colour, markerfacecolor="white", clip_on=False)
        shown = "cellvigil" if name == "ours" else name
        axes.annotate(shown, (still, delay), (0, away), textcoords="offset points", color=colour)
    axes.axvline(1.0, color=SOFT, linewidth=1.0)
    axes.annotate("budget", (1.0, 0.5), (4, 0), textcoords="offset points", color=SOFT)
    axes.spines[["left", "bottom"]].set_visible(True)
    axes.set(xscale="log", xlim=(0.01, 1000.0), ylim=(0.0, 1.15 * axes.get_ylim()[1]))
    axes.xaxis.set_major_formatter("{x:g}")
    axes.xaxis.set_tick_params(which="minor", size=0)
    axes.set_xlabel("false alarms a week, 24 healthy simulated flasks")
    axes.set_ylabel("frames until a fall of one standard deviation is found")
    file.parent.mkdir(parents=True, exist_ok=True)
    image_of(figure).save(file)


def main() -> None:
    made = parser(__doc__)
    made.add_argument("--fleets", type=int, default=24, help="healthy fleets of 24 flasks, 30 days each, per memory")
    made.add_argument("--flasks", type=int, default=400, help="flasks per kind of fall")
    made.add_argument("--plot", type=Path, help="draw the result here, as PNG")
    args = made.parse_args()
    others, version = peers(args.fleets, 1.0)
    watchers: dict[str, Callable[[], Watcher]] = {"ours": Ours} | others
    measures = []
    for name, make in watchers.items():
        measures += of_watcher(name, make, args.fleets if name == "ours" else max(1, args.fleets // 6), args.flasks)
    for ramp, table in RAMP_TABLE.items():
        mean = known_ramp(ramp, 2000, 3)
        measures.append(measure(f"known_ramp_{ramp:g}_over_table", mean / table, 0.9, 1.1, frames=round(mean, 2)))
    measures += chatter(20) + floods()
    if args.plot:
        draw(measures, list(watchers), args.plot)
    write(args.json, measures, peer="river", peer_version=version, settings=CultureSettings().model_dump(mode="json"))


if __name__ == "__main__":
    main()
