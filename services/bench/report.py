"""The report of a bench: plain values with units in their names, as JSON keeps them and tables and plots read them."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import torch

import monitor
from monitor.engine.choice import REFERENCE
from services.bench.candidates import Candidate, Missing
from services.bench.engines import Cell, Where, where
from services.bench.load import HALF, Load
from services.bench.plan import BenchPlan
from services.bench.roofline import Rates
from services.bench.spread import Spread, measure
from services.bench.stages import share_of_network

INTERVAL_S = 900.0
"""One frame of each position every 15 minutes."""

ENGINE_LIBRARIES = ("torch", "openvino", "tensorrt")

Report = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Bench:
    """Everything that was measured; `serving` is the engine of stages and load with its best cell."""

    plan: BenchPlan
    machine: Mapping[str, object]
    candidates: Sequence[Candidate]
    missing: Sequence[Missing]
    rates: Mapping[Where, Rates]
    cells: Sequence[Cell]
    serving: tuple[Candidate, Cell]
    stages: Mapping[str, Spread]


def report_of(bench: Bench) -> Report:
    """Return the report as it is without load: flasks per machine rest on the stages alone."""
    candidate, cell = bench.serving
    return {
        "version": monitor.__version__,
        "machine": dict(bench.machine),
        "options": {
            "sizes_px": list(bench.plan.sizes),
            "batches": list(bench.plan.batches),
            "rounds": bench.plan.rounds,
            "threads": bench.plan.threads,
        },
        "measures": _measures(bench.cells),
        "rates": [asdict(rates) for rates in bench.rates.values()],
        "engines": [_engine(one, bench.cells) for one in bench.candidates]
        + [_missing(missing) for missing in bench.missing],
        "serving": {"engine": candidate.name, "runs": cell.runs, "size_px": cell.size_px, "batch": cell.batch},
        "stages_ms": {
            name: {"median": round(s.median, 3), "p5_p95": [round(s.low, 3), round(s.high, 3)]}
            for name, s in bench.stages.items()
        },
        "network_share": round(share_of_network(bench.stages), 4),
        "load": None,
        "flasks_per_machine": _flasks(
            1000.0 / sum(spread.median for spread in bench.stages.values()),
            bench.plan.side_px,
            "the stages one after the other in one process",
        ),
    }


def with_load(report: Report, load: Load) -> Report:
    """Return a report with what the real processes did; flasks per machine rest on that."""
    side_px = report["flasks_per_machine"]["size_px"]
    flasks = _flasks(load.throughput_per_s, side_px, "the whole chain with a backlog")
    return report | {"load": load.report(), "flasks_per_machine": flasks}


def flasks_per_machine(frames_per_s: float, *, positions: int = 1, interval_s: float = INTERVAL_S) -> int:
    """Return how many flasks a machine keeps up with at half of what it gets through.

    frames_per_s x 0.5 x interval_s / positions, rounded down: every position of a flask gives one frame per interval.

    >>> flasks_per_machine(2.0), flasks_per_machine(2.0, positions=4)
    (900, 225)
    """
    return math.floor(HALF * frames_per_s * interval_s / positions)


def verdict(report: Report) -> str:
    """Return what the report comes to, in one sentence."""
    flasks, side = report["flasks_per_machine"], report["flasks_per_machine"]["size_px"]
    alone = "" if report["load"] else " (by the stages one after the other; --load measures the whole chain)"
    return (
        f"This machine keeps up with {flasks['flasks']} flasks at one frame of {side} x {side} every "
        f"{flasks['interval_s'] / 60:.0f} minutes{alone}; the network takes {100 * report['network_share']:.0f} % of "
        "the time."
    )


def made_on(report: Report) -> str:
    """Return machine and versions in one line."""
    machine = report["machine"]
    packages = machine["packages"]
    installed = ", ".join(f"{name} {packages[name]}" for name in ENGINE_LIBRARIES if name in packages)
    gpu = f", {machine['gpu']}" if "gpu" in machine else ""
    return (
        f"{machine['processor']}, {machine['cores']} cores, {machine['memory_gib']} GiB{gpu}; "
        f"cellvigil {report['version']}, {installed}"
    )


def _flasks(frames_per_s: float, side_px: int, basis: str) -> dict[str, Any]:
    return {
        "flasks": flasks_per_machine(frames_per_s),
        "size_px": side_px,
        "interval_s": INTERVAL_S,
        "positions": 1,
        "of_capacity": HALF,
        "frames_per_s": round(frames_per_s, 3),
        "basis": basis,
    }


def _engine(candidate: Candidate, cells: Sequence[Cell]) -> dict[str, Any]:
    device, precision = where(candidate)
    return {
        "engine": candidate.name,
        "runs": candidate.engine.name,
        "device": device,
        "precision": precision,
        "made_s": round(candidate.made_s, 3),
        "built_s": None if candidate.built_s is None else round(candidate.built_s, 1),
        "agrees": candidate.agreement,
        "why_not": None,
        "times": [_times(cell) for cell in cells if cell.engine == candidate.name],
    }


def _missing(missing: Missing) -> dict[str, Any]:
    nothing = dict.fromkeys(("runs", "device", "precision", "made_s", "built_s", "agrees"))
    return {"engine": missing.engine, **nothing, "why_not": missing.why, "times": []}


def _times(cell: Cell) -> dict[str, Any]:
    what = {"size_px": cell.size_px, "batch": cell.batch, "why_not": cell.failed}
    if cell.failed:
        return what
    per_frame = cell.ms_per_frame
    return what | {
        "first_ms": round(cell.first_ms, 2),
        "ms_per_frame": {
            "median": round(per_frame.median, 4),
            "p5_p95": [round(per_frame.low, 4), round(per_frame.high, 4)],
        },
        "ms_per_megapixel": round(cell.ms_per_megapixel.median, 4),
        "frames_per_s": round(cell.frames_per_s, 3),
        "roofline_ms_per_frame": None if cell.roofline_ms is None else round(cell.roofline_ms / cell.batch, 4),
        "of_roofline": None if cell.of_roofline is None else round(cell.of_roofline, 4),
        "repeats": per_frame.repeats,
    }


def _measures(cells: Sequence[Cell]) -> list[dict[str, Any]]:
    """Return each engine against eager at the same size, frame by frame, and against the roofline of this run."""
    version = f"torch {torch.__version__}"
    eager = {(cell.size_px, cell.batch): cell for cell in cells if cell.engine == REFERENCE and not cell.failed}
    found = []
    for cell in cells:
        if cell.failed:
            continue
        name = f"{cell.engine}_{cell.size_px}_batch{cell.batch}"
        ours = [value / cell.batch / 1000.0 for value in cell.batch_ms]
        peer = eager.get((cell.size_px, cell.batch))
        if peer is not None and peer is not cell:
            pairs = list(zip(ours, (value / peer.batch / 1000.0 for value in peer.batch_ms), strict=False))
            mine, theirs = [one for one, _ in pairs], [other for _, other in pairs]
            found.append(measure(f"network_{name}", mine, theirs, against=f"{peer.runs}, same run", version=version))
        if cell.roofline_ms is not None:
            floor = [cell.roofline_ms / cell.batch / 1000.0] * len(ours)
            against = "roofline per layer, matrix product and copy measured in the same run"
            found.append(measure(f"roofline_{name}", ours, floor, against=against, version=version))
    return found
