"""How the segmenter holds up when the images change, and whether it says so when it cannot read them.

    python benchmarks/bench_segmenter.py --labelled FOLDER --pixel-size 0.87 --only set05,set11 --json OUT.json

Part one scores the same labelled fields under changed scale (resampled, with the pixel size that goes with it), gain,
polarity, gamma, vignette, defocus, noise and 8 bits, each as a ratio to the clean AP50. Part two counts doubted frames:
clean ones should not be, and images that hold no readable cells should: noise, print, drawn stained tissue and strongly
defocused fields, and further images given with --unreadable.
"""

import argparse
import functools
import json
from pathlib import Path

import numpy as np
from machine import machine
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont
from scipy import ndimage

import monitor
from monitor.errors import FrameRejected
from monitor.frames.frame import Frame
from monitor.frames.reader import ReadLimits, read_frame
from monitor.segmentation.segmenter import Segmenter, load_segmenter
from monitor.training.robustness import robustness
from monitor.training.sources import LabelledImage, read_labelled


def masks(segmenter: Segmenter, frame: Frame) -> tuple[NDArray[np.int32], NDArray[np.int32], str | None]:
    """Return cells, nuclei and verdict of one frame."""
    (found,) = segmenter.segment([frame])
    if isinstance(found, FrameRejected):
        raise found
    return found.cells, found.nuclei, found.quality.reason


def unreadable(images: list[LabelledImage]) -> dict[str, list[Frame]]:
    """Return frames that hold nothing a network for phase contrast should believe it can read."""
    random = np.random.default_rng(3)
    scale = images[0].pixel_size_um
    frames = {
        "noise": [Frame(random.normal(2000.0, 60.0, (768, 768)).astype(np.float32), scale) for _ in range(4)],
        "coarse noise": [
            Frame(ndimage.gaussian_filter(random.normal(0.0, 1.0, (768, 768)), 2.0 + k).astype(np.float32), scale)
            for k in range(4)
        ],
        "print": [Frame(_print(random, size), scale) for size in (14, 22, 34, 50)],
        "stained tissue": [Frame(_tissue(random), scale) for _ in range(4)],
    }
    frames["strongly defocused"] = [
        Frame(ndimage.gaussian_filter(image.pixels.astype(np.float32), 6.0 / scale), scale) for image in images
    ]
    return frames


def _print(random: np.random.Generator, size: int) -> NDArray[np.float32]:
    page = Image.new("L", (768, 768), 225)
    draw, font = ImageDraw.Draw(page), ImageFont.load_default(size)
    for line in range(0, 768, round(1.4 * size)):
        letters = "".join(random.choice(list("abcdefghijklmnopqrstuvwxyz     "), 768 // (size // 2)))
        draw.text((8, line), letters, 30, font)
    return np.asarray(page).astype(np.float32)


def _tissue(random: np.random.Generator) -> NDArray[np.float32]:
    """Draw a section with haematoxylin: a dense field of dark round nuclei on a fibrous ground."""
    ground = ndimage.gaussian_filter(random.normal(0.0, 1.0, (768, 768)), (1.5, 9.0)) * 60.0 + 190.0
    y, x = np.mgrid[0:768, 0:768].astype(np.float32)
    for _ in range(1800):
        row, column, radius = random.uniform(0, 768), random.uniform(0, 768), random.uniform(4.0, 8.0)
        top, left = max(0, int(row - 12)), max(0, int(column - 12))
        window = (slice(top, int(row + 13)), slice(left, int(column + 13)))
        distance = np.hypot(y[window] - row, (x[window] - column) * random.uniform(0.7, 1.4))
        ground[window] -= 90.0 / (1.0 + np.exp((distance - radius) * 1.5))
    return (ground + random.normal(0.0, 3.0, ground.shape)).astype(np.float32)


def doubted(segmenter: Segmenter, frames: list[Frame]) -> tuple[float, list[str]]:
    """Return the share of frames that fail a quality gate, and the verdicts."""
    verdicts = []
    for frame in frames:
        (found,) = segmenter.segment([frame])
        verdicts.append(found.reason if isinstance(found, FrameRejected) else found.quality.reason or "ok")
    return sum(verdict != "ok" for verdict in verdicts) / max(1, len(verdicts)), verdicts


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--labelled", type=Path, required=True)
    parser.add_argument("--pixel-size", type=float)
    parser.add_argument("--only", default="", help="only images whose names hold one of these, comma between")
    parser.add_argument("--unreadable", type=Path, nargs="*", default=[], help="further images to be doubted")
    parser.add_argument("--weights", type=Path)
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    parts = args.only.split(",")
    images = [i for i in read_labelled(args.labelled, args.pixel_size) if any(part in i.name for part in parts)]
    segmenter = load_segmenter(args.weights)
    scores = robustness(functools.partial(masks, segmenter), images)
    clean = scores["clean"]
    for name, ap50 in scores.items():
        print(f"{name:22} AP50 {ap50:.3f}   {ap50 / max(clean, 1e-9):.2f} of clean")
    frames = {"clean": [Frame(i.pixels, i.pixel_size_um) for i in images]} | unreadable(images)
    if args.unreadable:
        size = args.pixel_size or images[0].pixel_size_um
        frames["given"] = [
            read_frame(path, root=path.parent, pixel_size_um=size, limits=ReadLimits()) for path in args.unreadable
        ]
    doubt = {name: doubted(segmenter, group) for name, group in frames.items()}
    for name, (share, verdicts) in doubt.items():
        print(f"{name:22} {100 * share:.0f} % doubted   {', '.join(verdicts)}")
    if args.json:
        report = {
            "version": monitor.__version__,
            "machine": machine(),
            "weights": segmenter.weights_digest,
            "measures": [
                {"name": f"ap50_{name}", "value": value, "ratio": value / max(clean, 1e-9), "peer": "clean, same run"}
                for name, value in scores.items()
            ],
            "doubted": {name: {"share": share, "verdicts": verdicts} for name, (share, verdicts) in doubt.items()},
        }
        args.json.parent.mkdir(parents=True, exist_ok=True)
        args.json.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
