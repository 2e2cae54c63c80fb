"""The network alone: every engine at every size and batch, in turns, and how near each comes to what is possible."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from monitor.engine.base import DeviceEngine
from monitor.engine.choice import REFERENCE
from monitor.errors import EngineFailure
from monitor.network.segnet import SegmentationNetwork
from services.bench.candidates import Candidate
from services.bench.plan import BenchPlan
from services.bench.progress import Teller
from services.bench.roofline import Rates, measured_rates, roofline_s
from services.bench.spread import Spread

DTYPES = {"fp32": torch.float32, "fp16": torch.float16, "bf16": torch.bfloat16}
"""Precisions whose rates can be measured; in 8 bits torch multiplies no matrices that compare."""
GPU_SAMPLE_S = 0.05
MOST_CALLS = 50
"""On a GPU one time is of so many calls that are queued at once: to wait for each would measure the waiting too."""

Where = tuple[str, str]
"""Device and precision, such as `("cpu", "fp32")`."""


@dataclass(frozen=True, slots=True)
class Cell:
    """One engine with one size and batch.

    engine: its name; runs: what really runs, such as `openvino-cpu-int8`; first_ms: the first call with this shape,
    which may compile for it; batch_ms: one time per round, of a whole batch; roofline_ms: the least time of a batch by
    the rates of this run, None where no rate is known; failed: why there are no times.
    """

    engine: str
    runs: str
    size_px: int
    batch: int
    first_ms: float = 0.0
    batch_ms: tuple[float, ...] = ()
    roofline_ms: float | None = None
    failed: str | None = None

    @property
    def ms_per_frame(self) -> Spread:
        """Milliseconds per frame."""
        return Spread.of([value / self.batch for value in self.batch_ms])

    @property
    def ms_per_megapixel(self) -> Spread:
        """Milliseconds per 1024 x 1024 pixels."""
        return self.ms_per_frame.scaled(1024.0**2 / self.size_px**2)

    @property
    def frames_per_s(self) -> float:
        """Frames per second of the network alone, by the median."""
        return 1000.0 / self.ms_per_frame.median

    @property
    def of_roofline(self) -> float | None:
        """The roofline's time as a fraction of the median: 1 is the limit of convolutions that are summed directly."""
        return None if self.roofline_ms is None else self.roofline_ms / (self.ms_per_frame.median * self.batch)


def where(candidate: Candidate) -> Where:
    """Return on what and in which precision an engine runs, as its own name says."""
    _, device, precision = candidate.engine.name.rsplit("-", 2)
    return device, precision


def rates_here(candidates: Sequence[Candidate], threads: int | None, teller: Teller) -> dict[Where, Rates]:
    """Measure the rates of every device and precision that the engines use."""
    places = list(dict.fromkeys(where(candidate) for candidate in candidates))
    known = [place for place in places if place[1] in DTYPES]
    rates = {}
    with teller.part("rates of this machine", len(known)) as step:
        for device, precision in known:
            step(f"matrix product and copy, {device}, {precision}")
            rates[device, precision] = measured_rates(device, DTYPES[precision], threads=threads)
    return rates


def time_engines(
    plan: BenchPlan,
    candidates: Sequence[Candidate],
    rates: dict[Where, Rates],
    network: SegmentationNetwork,
    teller: Teller,
    *,
    now: Callable[[], float] = time.monotonic,
) -> list[Cell]:
    """Return a cell for every engine, size and batch that it makes; `network` is one to count operations on.

    Engines take turns in each round, so that they share whatever else the machine is doing.
    """
    until = float("inf") if plan.minutes is None else now() + 60.0 * plan.minutes
    cells: list[Cell] = []
    pairs = [(size, batch) for size in plan.sizes for batch in plan.batches]
    pairs = [pair for pair in pairs if any(pair[1] <= c.engine.batch_size for c in candidates)]
    with teller.part("engines", len(pairs)) as step:
        for size, batch in pairs:
            step(f"{size} x {size} px, batch {batch}")
            group = [candidate for candidate in candidates if batch <= candidate.engine.batch_size]
            if cells and now() >= until:
                why = f"left out: the {plan.minutes:g} minutes were over"
                cells += [Cell(c.name, c.engine.name, size, batch, failed=why) for c in group]
                continue
            floors = {
                place: 1000.0 * roofline_s(network, (batch, 1, size, size), known) for place, known in rates.items()
            }
            cells += _in_turns(group, size, batch, plan.rounds, floors, lambda: now() >= until)
    return cells


def fastest(cells: Sequence[Cell], candidates: Sequence[Candidate], size_px: int) -> tuple[Candidate, Cell]:
    """Return the engine that a worker would do best with, and its best cell of that size."""
    serving = {candidate.name: candidate for candidate in candidates if candidate.serves}
    usable = [cell for cell in cells if cell.engine in serving and cell.size_px == size_px and not cell.failed]
    if not usable:
        why = next((cell.failed for cell in cells if cell.engine == REFERENCE and cell.failed), "it is not there")
        message = f"no engine ran with frames of {size_px} px: {why}; measure smaller frames with --sizes"
        raise EngineFailure(message, reason="no_engine")
    best = min(usable, key=lambda cell: cell.ms_per_frame.median)
    return serving[best.engine], best


def _in_turns(
    group: Sequence[Candidate],
    size: int,
    batch: int,
    rounds: int,
    floors: dict[Where, float],
    late: Callable[[], bool],
) -> list[Cell]:
    runs: dict[str, _Run] = {}
    failed: dict[str, str] = {}

    def guarded(name: str, call: Callable[[], object]) -> None:
        try:
            call()
        except EngineFailure as error:
            failed[name] = str(error)
            runs.pop(name, None)

    for candidate in group:
        runs[candidate.name] = _Run(candidate, size, batch)
        guarded(candidate.name, runs[candidate.name].begin)
    for done in range(rounds):
        if done and late():
            break
        for name in list(runs):
            guarded(name, runs[name].sample)
    cells = []
    for candidate in group:
        name, floor = candidate.name, floors.get(where(candidate))
        if name in failed:
            cells.append(Cell(name, candidate.engine.name, size, batch, failed=failed[name]))
        else:
            run = runs[name]
            cells.append(Cell(name, candidate.engine.name, size, batch, run.first_ms, tuple(run.times_ms), floor))
    return cells


class _Run:
    """Times of one engine with one shape, in milliseconds per batch."""

    def __init__(self, candidate: Candidate, size: int, batch: int) -> None:
        self.first_ms = 0.0
        self.times_ms: list[float] = []
        self._engine = candidate.engine
        self._frames = np.random.default_rng(0).normal(0.0, 0.3, (batch, 1, size, size)).astype(np.float32)
        self._on_gpu = isinstance(self._engine, DeviceEngine) and self._engine.device == "cuda"
        self._calls = 1
        self._resident: torch.Tensor | None = None

    def begin(self) -> None:
        """Make the first call, and one more by which the number of calls of a sample is chosen."""
        if self._on_gpu:
            self._resident = torch.from_numpy(self._frames).to("cuda")
        self.first_ms = self._timed()
        again_ms = self._timed()
        if self._on_gpu:
            self._calls = min(MOST_CALLS, max(1, round(1000.0 * GPU_SAMPLE_S / again_ms)))

    def sample(self) -> None:
        """Take one time."""
        self.times_ms.append(self._timed())

    def _timed(self) -> float:
        started = time.perf_counter()
        for _ in range(self._calls):
            self._call()
        if self._on_gpu:
            torch.cuda.synchronize()
        return 1000.0 * (time.perf_counter() - started) / self._calls

    def _call(self) -> None:
        if self._resident is not None and isinstance(self._engine, DeviceEngine):
            self._engine.maps_on_device(self._resident)
        else:
            self._engine(self._frames)
