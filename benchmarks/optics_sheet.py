"""A sheet of simulated frames beside real ones, for a look.

    python benchmarks/optics_sheet.py OUT.jpg [--scenes 12] [--real IMAGE=MICROMETRES_PER_PIXEL ...]

Real frames come first, at the scale of the network; each simulated frame stands beside its truth: cells amber, nuclei
blue, purple where nothing is taught because it cannot be seen. All are stretched between their 0.5 and 99.5
percentiles.
"""

import argparse
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from monitor.frames.frame import Frame
from monitor.frames.reader import ReadLimits, read_frame
from monitor.frames.resample import resample
from monitor.network.checkpoint import read_card
from monitor.segmentation.overlay import render_overlay
from monitor.synthetic.laboratories import scene_of
from monitor.synthetic.scene import Scene

VIEW_PX = 300
COLUMNS = 6
FIRST_SEED = 20_000


def stretched(pixels: NDArray[np.generic]) -> NDArray[np.uint8]:
    """Return the top left of a (Y, X) frame as (VIEW_PX, VIEW_PX, 3) uint8."""
    view = pixels[:VIEW_PX, :VIEW_PX].astype(np.float32)
    low, high = np.percentile(view, [0.5, 99.5])
    grey = (np.clip((view - low) / max(float(high - low), 1e-6), 0.0, 1.0) * 255.0).astype(np.uint8)
    padded = np.zeros((VIEW_PX, VIEW_PX), np.uint8)
    padded[: grey.shape[0], : grey.shape[1]] = grey
    return np.stack([padded] * 3, -1)


def with_truth(scene: Scene) -> NDArray[np.uint8]:
    """Return the same view with the truth drawn over it."""
    window = (slice(0, VIEW_PX), slice(0, VIEW_PX))
    drawn = np.zeros((VIEW_PX, VIEW_PX, 3), np.uint8)
    picture = render_overlay(scene.pixels[window], scene.cells[window], scene.nuclei[window])
    picture = picture.copy()
    unknown = ~scene.cells_known[window]
    picture[unknown] = picture[unknown] // 2 + np.array([60, 0, 60], np.uint8)
    drawn[: picture.shape[0], : picture.shape[1]] = picture
    return drawn


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("--real", nargs="*", default=[], metavar="IMAGE=UM", help="real frames with their pixel size")
    parser.add_argument("--scenes", type=int, default=12)
    args = parser.parse_args()
    views: list[tuple[str, NDArray[np.uint8]]] = []
    for word in args.real:
        name, _, size = word.rpartition("=")
        frame = read_frame(Path(name), root=Path(name).parent, pixel_size_um=float(size), limits=ReadLimits())
        pixels = resample(Frame(frame.pixels, float(size)), read_card().pixel_size_um)
        middle = [max(0, (side - VIEW_PX) // 2) for side in pixels.shape]
        views.append((f"real: {Path(name).stem[:28]}", stretched(pixels[middle[0] :, middle[1] :])))
    while len(views) % COLUMNS:
        views.append(("", np.zeros((VIEW_PX, VIEW_PX, 3), np.uint8)))
    for seed in range(FIRST_SEED, FIRST_SEED + args.scenes):
        scene = scene_of(seed)
        contrast = scene.spec.microscope.contrast
        views += [
            (f"simulated: {contrast}, {scene.spec.crowd.pattern}", stretched(scene.pixels)),
            ("", with_truth(scene)),
        ]
    rows = -(-len(views) // COLUMNS)
    sheet = Image.new("RGB", (COLUMNS * VIEW_PX, rows * VIEW_PX), "white")
    for index, (words, view) in enumerate(views):
        picture = Image.fromarray(view)
        drawing = ImageDraw.Draw(picture)
        drawing.text((5, 3), words, "white", ImageFont.load_default(13), stroke_width=2, stroke_fill="black")
        sheet.paste(picture, (index % COLUMNS * VIEW_PX, index // COLUMNS * VIEW_PX))
    sheet.save(args.out, quality=85)


if __name__ == "__main__":
    main()
