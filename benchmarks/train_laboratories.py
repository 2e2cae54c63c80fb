"""How the weights `laboratories` are made: real fields, simulated ones, steps, decode. Resumable at every point.

    python benchmarks/train_laboratories.py prepare WORK --phase FOLDER --brightfield FOLDER
    python benchmarks/train_laboratories.py simulate WORK --seeds 10000 10400
    python benchmarks/train_laboratories.py train WORK RUN --steps 6000 --minutes 60 [--start CARD] [--hold-statistics]
    python benchmarks/train_laboratories.py card WORK RUN OUT.json

`--phase` holds `setNN_phase.png` with `setNN_instances.png`; `--brightfield` holds `GROUP/image/*.png` with masks of
the same name in `GROUP/nuclei` and, where there are any, `GROUP/cells`. Fields, checkpoints and cards lie in WORK,
outside the repository. Fields named in `HELD_OUT` are never read. `card` writes the weights so that
`benchmarks/laboratories.py` can score them.
"""

import argparse
import math
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import numpy as np
from fields import instances
from numpy.typing import NDArray
from PIL import Image
from safetensors.torch import load_file
from scipy import ndimage
from skimage.segmentation import watershed

from monitor.frames.frame import Frame
from monitor.frames.resample import resample, restore_labels
from monitor.network.checkpoint import SHIPPED, DecodeSettings, load_network, save_network
from monitor.synthetic.laboratories import scene_of
from monitor.training.augment import AugmentSettings
from monitor.training.dataset import Field, make_field
from monitor.training.train import Progress, TrainSettings, train

HELD_OUT = (
    *("set05", "set11", "set21", "set30", "set38", "set45"),
    *("170601SH11_p0027", "200925SK30_p0042", "240418YZ16", "181024TK20"),
)
"""Beginnings of names that are for scores only; the last is kept for fine-tuning, too."""
PHASE_UM = 0.87
SCALES_UM = {
    "210930MA20": (1.2, 0.62), "200925SK30": (0.62, 0.34), "220524DS30": (0.5, 0.34), "170601SH11": (0.66,),
    "210824YZ12": (0.57,), "190905WW12": (0.63,), "240417YZ15": (0.46,),
}  # fmt: skip
"""Of each experiment: the pixel size at which a nucleus is about 12 um wide, and the stated one where it is another."""
FINEST_UM = 0.62
LEAST_CELL_PX, LEAST_NUCLEUS_PX = 60, 30
SHARES = {"phase": 0.42, "sized": 0.10, "stated": 0.08, "simulated": 0.40}
"""Share of crops of each kind."""


def cells_of(mask: NDArray[np.bool_], nuclei: NDArray[np.int32]) -> NDArray[np.int32]:
    """Return cells of a (Y, X) mask; those that touch are cut between their nuclei."""
    parts = instances(mask, LEAST_CELL_PX)
    seeds = np.where(parts > 0, nuclei, 0)
    bare = np.setdiff1d(np.unique(parts[parts > 0]), np.unique(parts[seeds > 0]))
    seeds = np.where(np.isin(parts, bare), parts + nuclei.max() + 1, seeds)
    height = ndimage.distance_transform_edt(seeds == 0) - 0.3 * ndimage.distance_transform_edt(mask)
    cut: NDArray[np.int32] = watershed(height, seeds, mask=parts > 0).astype(np.int32)
    return cut


def brightfield(folder: Path) -> Iterator[tuple[str, Field]]:
    """Yield name and field of every image that is not held out, at each of its scales."""
    for image in sorted(folder.glob("*/image/*.png")):
        if image.name.startswith(HELD_OUT):
            continue
        group = image.parent.parent
        nuclei = instances(np.array(Image.open(group / "nuclei" / image.name)) > 0, LEAST_NUCLEUS_PX)
        outlined = group / "cells" / image.name
        cells = cells_of(np.array(Image.open(outlined)) > 0, nuclei) if outlined.is_file() else None
        pixels = np.array(Image.open(image))
        for kind, size_um in zip(("sized", "stated"), SCALES_UM[image.name[:10]], strict=False):
            yield f"{kind}_{image.stem}", reduced(pixels, cells, nuclei, size_um)


def reduced(
    pixels: NDArray[np.generic], cells: NDArray[np.int32] | None, nuclei: NDArray[np.int32], size_um: float
) -> Field:
    """Return a field no finer than `FINEST_UM`: crops of finer ones would alias."""
    if size_um >= FINEST_UM:
        return make_field(pixels, cells, nuclei, size_um)
    small = resample(Frame(pixels, size_um), FINEST_UM)
    shape = (small.shape[0], small.shape[1])
    fewer = None if cells is None else restore_labels(cells, shape)
    return make_field(small, fewer, restore_labels(nuclei, shape), size_um * pixels.shape[0] / shape[0])


def phase(folder: Path) -> Iterator[tuple[str, Field]]:
    """Yield name and field of every phase-contrast image that is not held out."""
    for image in sorted(folder.glob("set*_phase.png")):
        if not image.name.startswith(HELD_OUT):
            cells = np.array(Image.open(image.with_name(image.name.replace("_phase", "_instances")))).astype(np.int32)
            yield f"phase_{image.stem}", make_field(np.array(Image.open(image)), cells, None, PHASE_UM)


def keep(file: Path, field: Field) -> None:
    """Write a field whole or not at all."""
    part = file.with_suffix(".part")
    with part.open("wb") as stream:
        np.savez(stream, **{name: getattr(field, name) for name in Field.__dataclass_fields__})
    part.replace(file)


def kept(file: Path) -> Field:
    """Read what `keep` wrote."""
    with np.load(file, allow_pickle=False) as planes:
        values = {name: planes[name] for name in Field.__dataclass_fields__}
    return Field(**(values | {"pixel_size_um": float(values["pixel_size_um"])}))


def simulated(work: Path, seed: int) -> None:
    """Write the field of a seed; one in which hardly anything can be seen teaches nothing and is left out."""
    file = work / f"simulated_{seed:05d}.npz"
    if file.exists():
        return
    scene = scene_of(seed)
    if scene.cells.max() >= 3 and scene.cells_known.mean() > 0.4:
        known = {"cells_known": scene.cells_known, "nuclei_known": scene.nuclei_known}
        keep(file, make_field(scene.pixels, scene.cells, scene.nuclei, scene.pixel_size_um, **known))


def teach(args: argparse.Namespace) -> None:
    """Train, or go on, in the folder of a run."""
    settings = TrainSettings(
        steps=args.steps,
        learning_rate=args.learning_rate,
        hold_statistics=args.hold_statistics,
        augment=AugmentSettings(log_scale=0.7),
    )
    groups = [
        (share, [kept(file) for file in sorted(args.work.glob(f"{kind}_*.npz"))]) for kind, share in SHARES.items()
    ]
    print({kind: len(fields) for kind, (_, fields) in zip(SHARES, groups, strict=True)})
    start = load_file(args.start) if args.start.suffix == ".safetensors" else load_network(args.start)[0].state_dict()

    def report(step: Progress) -> None:
        print(f"step {step.step}: loss {step.loss:.3f}, {step.seconds_per_step:.2f} s a step", flush=True)

    train(settings, groups, args.run, start=start, until_s=60.0 * args.minutes, report=report)


def prepare(args: argparse.Namespace) -> None:
    """Write the real fields."""
    for source in (phase(args.phase), brightfield(args.brightfield)):
        for name, field in source:
            keep(args.work / f"{name}.npz", field)


def simulate(args: argparse.Namespace) -> None:
    """Write the simulated fields of a range of seeds."""
    seeds = range(*args.seeds)
    with ProcessPoolExecutor(args.processes) as pool:
        list(pool.map(simulated, [args.work] * len(seeds), seeds))


def write_card(args: argparse.Namespace) -> None:
    """Write the averaged weights of a run with a card, for scores."""
    card = {
        "name": args.run.name, "width": 0.5, "decoder_channels": 96, "pixel_size_um": PHASE_UM,
        "decode": DecodeSettings(persistence=0.1, boundary_weight=0.15, threshold=0.6, min_peak=0.5),
        "data": [str(args.work)], "licence": "unfinished", "scores": {}, "intended_use": "scores",
        "must_not_be_used_for": "anything else: no card was written for it",
    }  # fmt: skip
    save_network(load_file(args.run / "averaged.safetensors"), card, args.out)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(required=True)
    every = {}
    for work in (prepare, simulate, teach, write_card):
        name = {"teach": "train", "write_card": "card"}.get(work.__name__, work.__name__)
        every[name] = commands.add_parser(name, help=work.__doc__)
        every[name].add_argument("work", type=Path)
        every[name].set_defaults(run_command=work)
    every["prepare"].add_argument("--phase", type=Path, required=True)
    every["prepare"].add_argument("--brightfield", type=Path, required=True)
    every["simulate"].add_argument("--seeds", type=int, nargs=2, required=True)
    every["simulate"].add_argument("--processes", type=int, default=2)
    every["train"].add_argument("run", type=Path)
    every["train"].add_argument("--steps", type=int, required=True)
    every["train"].add_argument("--minutes", type=float, default=math.inf)
    every["train"].add_argument("--learning-rate", type=float, default=8e-4)
    every["train"].add_argument("--start", type=Path, default=SHIPPED, help="card, or averaged.safetensors of a run")
    every["train"].add_argument("--hold-statistics", action="store_true")
    every["card"].add_argument("run", type=Path)
    every["card"].add_argument("out", type=Path)
    args = parser.parse_args()
    args.work.mkdir(parents=True, exist_ok=True)
    args.run_command(args)


if __name__ == "__main__":
    main()
