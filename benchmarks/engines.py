"""Every engine that runs on this CPU against PyTorch as people run it, in turns, each with its error against eager.

    python benchmarks/engines.py --labelled FOLDER --pixel-size 0.87 --json benchmarks/results/0.1.0/engines.json

The peer is the same network with the same weights and as many threads: eager, float32, channels first. All times are of
one frame, array to array. `cpu_fp32_of_matmul_peak` holds the fp32 engine against the arithmetic that torch's fastest
matrix product reaches in the same round, for the multiplications of convolutions that are summed directly: its ratio
is the share of that peak, and passes 1 where Winograd's convolutions need fewer.

Errors are those of the gate (`monitor.parity`), over the shipped frames: F1 at an overlap of 0.5 with eager's labels,
and how far counts and population features are off. A labelled folder adds F1 and AP50 against the truth. `--width`
times random weights of another width; these have no errors worth telling.
"""

import argparse
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import torch
from fields import add_fields
from networks import Timed, network_of
from numpy.typing import NDArray
from rounds import measure, parser, seconds, write

from monitor.engine.base import SegmentationEngine
from monitor.engine.choice import default_store, make_engine
from monitor.engine.compiled import CompiledEngine
from monitor.engine.eager import EagerEngine
from monitor.engine.store import EngineStore
from monitor.engine.tiled import TiledEngine
from monitor.engine.views import parity_views
from monitor.errors import EngineFailure, FrameRejected
from monitor.frames.frame import Frame
from monitor.parity import compare
from monitor.segmentation.segmenter import Segmenter
from monitor.training.evaluate import evaluate
from monitor.training.metrics import Scores
from monitor.training.sources import LabelledImage, read_labelled
from services.bench.roofline import Rates, matmul_s, matrix_products, measured_rates, roofline_s

PEER = "eager, channels first"
OURS = ("eager", "openvino", "openvino-bf16", "openvino-int8", "compiled")
FP32 = ("eager", "openvino", "compiled")
MATMUL_SIDE = 2048
WARM = 2


@dataclass
class Field:
    """Who runs, who does not and why, and the times of each in seconds, one for each round."""

    engines: dict[str, SegmentationEngine] = field(default_factory=dict)
    absent: dict[str, str] = field(default_factory=dict)
    times: dict[str, list[float]] = field(default_factory=dict)
    flops_per_s: list[float] = field(default_factory=list)

    def fastest(self, *names: str) -> str | None:
        """Return which of these has the least median time; None when none of them ran."""
        ran = [name for name in names if name in self.times]
        return min(ran, key=lambda name: median(self.times[name])) if ran else None


def line_up(timed: Timed, args: argparse.Namespace, store: EngineStore) -> Field:
    """Make every engine that can run; quantising takes a minute or two, compiling happens only with `--build`."""
    found = Field()
    for name in args.engines.split(","):
        print(f"making {name}", flush=True)
        try:
            found.engines[name] = engine_of(name, timed, args, store)
        except EngineFailure as error:
            found.absent[name] = str(error)
            print(f"  not run: {error}")
    return found


def engine_of(name: str, timed: Timed, args: argparse.Namespace, store: EngineStore) -> SegmentationEngine:
    """Return an engine on the CPU, also where there is a GPU."""
    if name == "eager":
        return EagerEngine(timed.make(), device="cpu", threads=args.threads)
    if name == "compiled":
        options = {"threads": args.threads, "store": store, "build": args.build}
        return CompiledEngine(timed.make(), timed.sha256, **options)
    return make_engine(name, timed.make(), timed.sha256, threads=args.threads, store=store)


def run(found: Field, peer: Callable[[NDArray[np.float32]], object], args: argparse.Namespace) -> None:
    """Time all in turns; each round begins with another one, and the first rounds are not counted."""
    batch = np.random.default_rng(0).normal(size=(1, 1, args.side, args.side)).astype(np.float32)
    calls = {PEER: peer} | dict(found.engines)
    with torch.inference_mode():
        products = matrix_products("cpu", torch.float32, MATMUL_SIDE)
    names = list(calls)
    for turn in range(WARM + args.rounds):
        first = turn % len(names)
        lap = {name: seconds(lambda call=calls[name]: call(batch)) for name in names[first:] + names[:first]}
        with torch.inference_mode():
            product = min(seconds(product) for product in products for _ in range(3))
        if turn >= WARM:
            for name, took in lap.items():
                found.times.setdefault(name, []).append(took)
            found.flops_per_s.append(2.0 * MATMUL_SIDE**3 / product)


def errors(found: Field, timed: Timed, args: argparse.Namespace) -> dict[str, dict[str, Any]]:
    """Return what each engine's labels cost; empty for random weights."""
    if timed.card is None:
        return {}
    reference = EagerEngine(timed.make(), device="cpu", threads=args.threads)
    segmenters = {
        name: Segmenter(TiledEngine(engine), timed.card) for name, engine in found.engines.items() if name != "eager"
    }
    eager = Segmenter(TiledEngine(reference), timed.card)
    told: dict[str, dict[str, Any]] = {"eager": {"note": "the reference itself"}}
    for name, segmenter in segmenters.items():
        parity = compare(eager, segmenter, parity_views())
        kept = {"f1", "count_error", "feature_error", "worst_feature", "passes"}
        told[name] = {"against_eager": parity.model_dump(include=kept)}
        print(f"  {name} against eager: {told[name]['against_eager']}", flush=True)
    if args.labelled is not None:
        images = labelled(args)
        truth = {name: scored(one, images) for name, one in ({"eager": eager} | segmenters).items()}
        for name, scores in truth.items():
            told[name]["labelled"] = {
                "fields": scores.fields, "cells": scores.true_instances, "f1": scores.f1, "ap50": scores.ap50,
                "f1_lost": truth["eager"].f1 - scores.f1, "ap50_lost": truth["eager"].ap50 - scores.ap50,
            }  # fmt: skip
            print(f"  {name} against the truth: {told[name]['labelled']}", flush=True)
    return told


def labelled(args: argparse.Namespace) -> list[LabelledImage]:
    """Return the labelled images, those of `--only` alone when it is given."""
    wanted = tuple(args.only.split(",")) if args.only else ("",)
    return [image for image in read_labelled(args.labelled, args.pixel_size) if image.name.startswith(wanted)]


def scored(segmenter: Segmenter, images: list[LabelledImage]) -> Scores:
    """Return the scores of the cells."""

    def segment(frame: Frame) -> tuple[NDArray[np.int32], NDArray[np.int32], str | None]:
        (result,) = segmenter.segment([frame])
        if isinstance(result, FrameRejected):
            raise result
        return result.cells, result.nuclei, result.quality.reason

    return evaluate(segment, images).cells


def report(found: Field, timed: Timed, args: argparse.Namespace) -> list[dict[str, Any]]:
    """Return the measures."""
    versions = f"torch {torch.__version__}"
    measures = []
    for title, names in (
        ("cpu_fp32", FP32),
        ("cpu_int8", ("openvino-int8",)),
        ("cpu_bf16", ("openvino-bf16",)),
        ("cpu_compiled", ("compiled",)),
    ):
        if (best := found.fastest(*names)) is None:
            continue
        against = f"PyTorch eager fp32, channels first, {args.threads} threads"
        row = measure(title, found.times[best], found.times[PEER], against=against, version=versions)
        measures.append(row | {"engine": found.engines[best].name})
    if (best := "openvino" if "openvino" in found.times else found.fastest(*FP32)) is not None:
        shape, network = (1, 1, args.side, args.side), timed.make()
        peak = [matmul_s(network, shape, Rates("cpu", "float32", rate, 1.0)) for rate in found.flops_per_s]
        against = f"torch's fastest fp32 matrix product of {MATMUL_SIDE}, same round, {args.threads} threads"
        row = measure("cpu_fp32_of_matmul_peak", found.times[best], peak, against=against, version=versions)
        rates = measured_rates("cpu", torch.float32, threads=args.threads)
        floor = roofline_s(network, shape, rates)
        measures.append(
            row
            | {
                "engine": found.engines[best].name,
                "best_over_best": round(min(peak) / min(found.times[best]), 3),
                "roofline_ms": round(1e3 * floor, 3),
                "best_of_roofline": round(floor / min(found.times[best]), 3),
            }
        )
    return measures


def main() -> None:
    made = parser(__doc__)
    add_fields(made)
    made.add_argument("--side", type=int, default=1024, help="of the frame, pixels, a multiple of 32")
    made.add_argument("--rounds", type=int, default=15)
    made.add_argument("--threads", type=int, default=torch.get_num_threads(), help="of every contender")
    made.add_argument("--width", type=float, help="random weights of this width instead of the shipped ones")
    made.add_argument("--build", action="store_true", help="compile when that was never done here: minutes")
    made.add_argument("--engines", default=",".join(OURS), help="comma-separated")
    args = made.parse_args()
    torch.set_num_threads(args.threads)
    timed = network_of(args.width)
    plain = timed.make()

    def peer(batch: NDArray[np.float32]) -> NDArray[np.float32]:
        with torch.inference_mode():
            maps: NDArray[np.float32] = plain(torch.from_numpy(batch)).numpy()
        return maps

    with tempfile.TemporaryDirectory(prefix="cellvigil-bench-") as thrown_away:
        # engines of random weights are of no use to anybody else
        store = default_store() if timed.card is not None else EngineStore(Path(thrown_away))
        found = line_up(timed, args, store)
        run(found, peer, args)
        measures = report(found, timed, args)
        told = errors(found, timed, args)
    by_name = {engine.name: name for name, engine in found.engines.items()}
    write(
        args.json,
        [row | told.get(by_name[row["engine"]], {}) for row in measures],
        network=timed.words,
        side_px=args.side,
        threads=args.threads,
        engines={
            name: {"ms": round(1e3 * median(times), 3), "least_ms": round(1e3 * min(times), 3)} | told.get(name, {})
            for name, times in found.times.items()
        },
        not_run=found.absent,
        source="shipped frames" + (" and a labelled folder" if args.labelled else ""),
    )


if __name__ == "__main__":
    main()
