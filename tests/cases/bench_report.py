"""A bench that was never measured: two engines that run, one that is missing, times chosen by hand."""

from typing import Any

from cases.plain_engine import PlainEngine, plain_segmenter

from monitor.messages import EngineParity
from services.bench.candidates import Candidate, Missing
from services.bench.chain import Offered
from services.bench.engines import Cell
from services.bench.load import Load
from services.bench.plan import BenchPlan
from services.bench.report import Bench, report_of, with_load
from services.bench.roofline import Rates
from services.bench.spread import Spread

AGREES = EngineParity(frames=6, f1=0.999, count_error=0.0, feature_error=0.001, worst_feature="area", passes=True)
MACHINE = {
    "processor": "an abacus", "cores": 2, "memory_gib": 0.5, "packages": {"torch": "2.13.0"}, "load_before": 0.1,
}  # fmt: skip
STAGES = {"read": 5.0, "network": 80.0, "decode": 15.0}


def candidate(name: str, runs: str, parity: EngineParity | None = None, **engine: Any) -> Candidate:
    plain = PlainEngine(name=runs, **engine)
    return Candidate(name, plain, plain_segmenter(plain), made_s=0.5, parity=parity)


def bench() -> Bench:
    eager = candidate("eager", "eager-cpu-fp32", batch_size=1)
    fast = candidate("openvino", "openvino-cpu-fp32", AGREES, batch_size=1)
    cells = [
        Cell("eager", "eager-cpu-fp32", 1024, 1, 300.0, (200.0, 210.0, 190.0), 50.0),
        Cell("openvino", "openvino-cpu-fp32", 1024, 1, 900.0, (100.0, 105.0, 95.0), 50.0),
        Cell("eager", "eager-cpu-fp32", 2048, 1, failed="no room"),
    ]
    return Bench(
        plan=BenchPlan(sizes=(1024, 2048), batches=(1,), rounds=3),
        machine=MACHINE,
        candidates=[eager, fast],
        missing=[Missing("tensorrt", "TensorRT needs an NVIDIA GPU, and there is none here")],
        rates={("cpu", "fp32"): Rates("cpu", "float32", 1.5e11, 2.2e10)},
        cells=cells,
        serving=(fast, cells[1]),
        stages={name: Spread(ms, ms - 1.0, ms + 1.0, 3) for name, ms in STAGES.items()},
    )


def load(frames: int = 20) -> Load:
    names = [f"F1/p1/{number}.tif" for number in range(frames)]
    closed = {name: 10.0 * number for number, name in enumerate(names)}
    flat_out = Offered(dict.fromkeys(names, 0.0), {name: 1.0 + 0.25 * n for n, name in enumerate(names)}, 0)
    half = Offered(closed, {name: closed[name] + 0.5 for name in names}, 0)
    return Load("openvino", ready_s=8.0, first_s=1.5, flat_out=flat_out, half=half, rate_per_s=2.0, batch=8)


def report(*, loaded: bool = True) -> dict[str, Any]:
    found = report_of(bench())
    return with_load(found, load()) if loaded else found
