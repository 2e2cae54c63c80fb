"""A sheet to look at: held-out fields with true and found outlines, and frames without truth with the found ones.

python benchmarks/overlays.py --labelled FOLDER --pixel-size 0.87 --only set05,set11 --frames a.png b.png --out S.jpg
"""

import argparse
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont, ImageOps

from monitor.errors import FrameRejected
from monitor.frames.frame import Frame
from monitor.frames.reader import ReadLimits, read_frame
from monitor.segmentation.overlay import render_comparison, render_overlay
from monitor.segmentation.segmenter import Segmentation, Segmenter, load_segmenter
from monitor.training.metrics import match_instances, score
from monitor.training.sources import read_labelled

VIEW_PX = 512
COLUMNS = 3


def masks(segmenter: Segmenter, frame: Frame) -> Segmentation:
    """Return the masks of a frame."""
    (found,) = segmenter.segment([frame])
    if isinstance(found, FrameRejected):
        raise found
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--labelled", type=Path, required=True)
    parser.add_argument("--pixel-size", type=float, required=True)
    parser.add_argument("--only", default="")
    parser.add_argument("--frames", type=Path, nargs="*", default=[])
    parser.add_argument("--out", type=Path, required=True)
    args = parser.parse_args()
    segmenter = load_segmenter()
    views: list[tuple[str, Image.Image]] = []
    for image in read_labelled(args.labelled, args.pixel_size):
        if any(part in image.name for part in args.only.split(",")):
            found = masks(segmenter, Frame(image.pixels, image.pixel_size_um))
            ap50 = score([match_instances(image.cells, found.cells, image.pixels)]).ap50
            picture = render_comparison(image.pixels, image.cells, found.cells)
            views.append((f"{image.name}: AP50 {ap50:.2f}", Image.fromarray(picture)))
    for path in args.frames:
        frame = read_frame(path, root=path.parent, pixel_size_um=args.pixel_size, limits=ReadLimits())
        found = masks(segmenter, frame)
        picture = render_overlay(frame.pixels, found.cells, found.nuclei)
        views.append((f"{path.name}: {found.n_cells} cells", Image.fromarray(picture)))
    rows = -(-len(views) // COLUMNS)
    sheet = Image.new("RGB", (COLUMNS * VIEW_PX, rows * (VIEW_PX + 18)), "white")
    draw, font = ImageDraw.Draw(sheet), ImageFont.load_default(13)
    for number, (title, view) in enumerate(views):
        left, top = number % COLUMNS * VIEW_PX, number // COLUMNS * (VIEW_PX + 18)
        draw.text((left + 4, top + 2), title, "black", font)
        sheet.paste(ImageOps.contain(view.convert("RGB"), (VIEW_PX, VIEW_PX)), (left, top + 18))
    sheet.save(args.out, quality=85)


if __name__ == "__main__":
    main()
