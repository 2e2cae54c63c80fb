"""The chain of real processes: what it gets through against its slowest stage alone, and how even its latency is.

    python benchmarks/latency.py --json benchmarks/results/0.1.0/latency.json

Part one gives the processes a backlog, and runs each stage by itself on the same frames in this process while they
rest; the ratio is of the whole chain to the slowest stage. Part two offers half of what the chain got through and takes
the time from file closed to estimate published. The code is that of `cellvigil bench`, in `services/bench`.
"""

import argparse
import statistics
import tempfile
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from rich.console import Console
from rounds import parser, write

from monitor.engine.store import EngineStore
from monitor.network.checkpoint import SHIPPED, read_card
from monitor.parity import choose_segmenter
from services.bench.chain import SETTLE_S
from services.bench.frames import FrameSource
from services.bench.load import (
    HALF,
    Held,
    LoadPlan,
    frames_for,
    hold_against_stages,
    latency_report,
    started,
    tail_ratio,
    warmed,
)
from services.bench.progress import Teller
from services.bench.spread import Spread


def throughput_measure(held: Sequence[Held], slowest: str, engine: str) -> dict[str, Any]:
    """Return what the whole chain gets through as a fraction of its slowest stage."""
    ratio = Spread.of([one.whole_per_s / one.alone_per_s[slowest] for one in held])
    return {
        "name": "throughput_over_slowest_stage",
        "ratio": round(ratio.median, 3),
        "low": round(ratio.low, 3),
        "high": round(ratio.high, 3),
        "peer": f"the {slowest} stage alone, in one process ({engine}), on the same frames",
        "peer_version": f"torch {torch.__version__}",
        "repeats": ratio.repeats,
    }


def tail_measure(latencies_s: Sequence[float], rate_per_s: float) -> dict[str, Any]:
    """Return how far the slowest frames lie from the usual one; low and high are of the bootstrap."""
    ratio, low, high = tail_ratio(latencies_s)
    return {
        "name": "p99_over_p50",
        "ratio": round(ratio, 3),
        "low": round(low, 3),
        "high": round(high, 3),
        "peer": f"the median latency of the same frames, {rate_per_s:.2f} frames a second",
        "peer_version": f"torch {torch.__version__}",
        "repeats": len(latencies_s),
    }


def measured(args: argparse.Namespace, place: Path, teller: Teller) -> dict[str, Any]:
    """Run both parts in an empty folder; return the measures and what stands behind them."""
    engines = args.engines or place / "engines"
    engines.mkdir(parents=True, exist_ok=True)
    chosen = choose_segmenter(args.engine, threads=args.threads, store=EngineStore(engines))
    source = FrameSource(args.side, read_card(SHIPPED).pixel_size_um)
    plan = LoadPlan(chosen.engine, args.seconds, 1.0, threads=args.threads, engines=engines)
    with started(plan, place) as chain:
        first_s = warmed(chain, source, place)
        held = hold_against_stages(chain, chosen, source, place, rounds=args.rounds, frames=args.frames, teller=teller)
        rate = HALF * statistics.median(one.whole_per_s for one in held)
        count = frames_for(args.seconds, rate, source, least=args.frames)
        half = chain.offer(source.stage(place / "staged", count), rate)
    slowest = Counter(one.slowest for one in held).most_common(1)[0][0]
    return {
        "measures": [
            throughput_measure(held, slowest, chosen.segmenter.engine_name),
            tail_measure(half.latencies_s, rate),
        ],
        "engine": chosen.segmenter.engine_name,
        "size_px": args.side,
        "settle_s": SETTLE_S,
        "ready_s": round(chain.ready_s, 2),
        "first_frame_s": round(first_s, 3),
        "rounds": [{"whole_per_s": one.whole_per_s, "alone_per_s": one.alone_per_s} for one in held],
        "live": {
            "rate_per_s": round(rate, 3),
            "frames": count,
            "failed": half.failed,
            "lost": half.lost,
            **latency_report(half.latencies_s),
        },
    }


def main() -> None:
    made = parser(__doc__)
    made.add_argument("--engine", default="auto", help="of the segmenter; auto takes the fastest that is there")
    made.add_argument("--side", type=int, default=1024, help="of the square frames, px")
    made.add_argument("--rounds", type=int, default=5)
    made.add_argument("--frames", type=int, default=32, help="of the backlog of each round")
    made.add_argument("--seconds", type=float, default=120.0, help="of part two")
    made.add_argument("--threads", type=int, help="of the segmenter; default: torch's own count")
    made.add_argument("--engines", type=Path, help="folder of built engines, such as state/engines")
    args = made.parse_args()
    with tempfile.TemporaryDirectory(prefix="cellvigil-bench-") as name:
        report = measured(args, Path(name), Teller(Console()))
    for one in report["measures"]:
        print(f"{one['name']}: {one['ratio']} ({one['low']} to {one['high']}), against {one['peer']}")
    print(f"file closed -> estimate published, {SETTLE_S} s of it waiting for the file: {report['live']}")
    write(args.json, report.pop("measures"), **report)


if __name__ == "__main__":
    main()
