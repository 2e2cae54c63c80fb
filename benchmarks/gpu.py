"""Everything that a GPU can say about cellvigil, in one run of less than eight minutes.

    python benchmarks/gpu.py --json benchmarks/results/0.1.0/gpu.json
    PYTHONPATH=. python benchmarks/gpu.py --json gpu.json       # on a machine that has PyTorch and the sources only

In this order: the rates of matrix product and copy; the network in float16, channels last, at every batch, eager and
from a CUDA graph; the `compiled` engine; torch.compile; bfloat16; layouts and groups; HoVer-Net; TensorRT where its
libraries are; transfer; normalisation and labels on the device; the whole way. Times are taken by CUDA events, after
ten calls that do not count, contenders in turns. Peers are PyTorch eager on the same network (`gpu_compiled`), the
roofline by layer with the rates of this run (`gpu_of_roofline`), HoVer-Net per megapixel of output
(`gpu_over_hovernet`), and our own network, of which `gpu_labels_over_network` says how much time the labels take: less
is better there.

Each part has its time and ends with what it has; a part that fails, or lacks a package, is named and left out. The
report is written after every part. PyTorch and numpy are enough for most: labels and the whole way need the packages
of cellvigil, and without pydantic and safetensors the weights are random. `--dry` runs all parts on the CPU with a tiny
network, to see that they run; its numbers mean nothing.
"""

import argparse
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import gpu_sections as parts
import torch
from device_clock import Clock, OutOfTime, at_most
from gpu_bench import Bench
from networks import Timed, network_of
from rounds import parser, write

from monitor.engine.hardware import graphics

SECTIONS: dict[str, tuple[float, Callable[[Bench], None]]] = {
    "rates": (20.0, parts.rates),
    "network": (50.0, parts.network),
    "compiled": (50.0, parts.compiled),
    "torch_compile": (60.0, parts.torch_compile),
    "bfloat16": (15.0, parts.bfloat16),
    "layout": (20.0, parts.layout),
    "hovernet": (50.0, parts.over_hovernet),
    "tensorrt": (150.0, parts.tensorrt),
    "transfer": (10.0, parts.transfer),
    "labels": (40.0, parts.labels),
    "whole": (40.0, parts.whole),
}
"""Each part with the seconds that it may take, in the order in which they run."""
DRY_S = 1800.0
"""Seconds that a part may take in a dry run."""


def timed_network(width: float | None) -> Timed:
    """Return the shipped network, or a random one of its size where its weights cannot be read."""
    try:
        return network_of(width)
    except ImportError as error:
        print(f"{error}: random weights of half width instead of the shipped ones", flush=True)
        return network_of(0.5)


def bench_for(args: argparse.Namespace, folder: Path) -> Bench:
    """Return what the parts share."""
    if args.dry:
        clock = Clock("cpu", warm=1, rounds=2, each=1)
        sizes = {"side": 64, "batches": (1, 2), "batch": 2, "tiles": 1, "tile_px": 96}
        return Bench("cpu", torch.float32, clock=clock, timed=network_of(0.125, 16), folder=folder, **sizes)
    sizes = {"side": args.side, "batches": (1, 2, 4, 8, 16), "batch": 8, "tiles": 16, "tile_px": 256}
    timed = timed_network(args.width)
    return Bench("cuda", torch.float16, clock=Clock("cuda"), timed=timed, folder=folder, **sizes)


def run(bench: Bench, args: argparse.Namespace) -> None:
    """Run the parts, each within its time, and write the report after each."""
    started = time.monotonic()
    skipped: dict[str, str] = {}
    took: dict[str, float] = {}
    for name in args.only.split(","):
        most, part = SECTIONS[name]
        left = 60.0 * args.minutes - (time.monotonic() - started)
        # the parts share a lent GPU's time; nothing is lent for a dry run, and a slow machine may take longer
        bench.seconds = DRY_S if args.dry else min(most, left)
        print(f"{name}: at most {bench.seconds:.0f} s", flush=True)
        begun = time.monotonic()
        if bench.seconds < 5.0:
            skipped[name] = "no time left"
        else:
            try:
                with at_most(bench.seconds), torch.inference_mode():
                    part(bench)
            except OutOfTime:
                skipped[name] = f"cut off after {bench.seconds:.0f} s"
            except ImportError as error:
                skipped[name] = f"not installed here: {error}"
            except Exception as error:  # noqa: BLE001  # what one part meets must not cost the others
                skipped[name] = f"{type(error).__name__}: {' '.join(str(error).split())[:300]}"
        took[name] = round(time.monotonic() - begun, 1)
        if name in skipped:
            print(f"  skipped: {skipped[name]}", flush=True)
        write(
            args.json,
            bench.measures,
            network=bench.timed.words,
            gpu=graphics() or "none: a dry run on the CPU",
            dtype=bench.dtype_name,
            side_px=bench.side,
            cudnn_benchmark=torch.backends.cudnn.benchmark,
            tables=bench.tables,
            skipped=skipped,
            took_s=took,
        )


def main() -> int:
    made = parser(__doc__)
    made.add_argument("--side", type=int, default=1024, help="of the frames, pixels, a multiple of 32")
    made.add_argument("--width", type=float, help="random weights of this width instead of the shipped ones")
    made.add_argument("--minutes", type=float, default=7.5, help="for all parts together")
    made.add_argument("--only", default=",".join(SECTIONS), help="comma-separated parts")
    made.add_argument("--cudnn-benchmark", action="store_true", help="let cuDNN try its kernels, for peers and ours")
    made.add_argument("--dry", action="store_true", help="all parts on the CPU, tiny: only to see that they run")
    args = made.parse_args()
    if wrong := set(args.only.split(",")) - set(SECTIONS):
        made.error(f"no such part: {', '.join(sorted(wrong))}; choose among {', '.join(SECTIONS)}")
    if not args.dry and not torch.cuda.is_available():
        print("there is no GPU here that this PyTorch can use; --dry runs the parts on the CPU", file=sys.stderr)
        return 2
    torch.backends.cudnn.benchmark = args.cudnn_benchmark
    with tempfile.TemporaryDirectory(prefix="cellvigil-bench-") as folder:
        run(bench_for(args, Path(folder)), args)
    return 0


if __name__ == "__main__":
    sys.exit(main())
