"""A segmenter held against labelled images: scores, a row per field, a sheet of the worst."""

from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont
from rich.console import Console
from rich.progress import track
from rich.table import Table

from monitor.frames.frame import Frame
from monitor.segmentation.overlay import render_comparison
from monitor.segmentation.segmenter import Segmentation, Segmenter, load_segmenter
from monitor.training.evaluate import Evaluation, evaluate
from monitor.training.metrics import Scores
from monitor.training.sources import read_labelled
from services.whole_file import write_json

SHEET_VIEW_PX = 560


def evaluate_segmenter(
    folder: Path,
    *,
    pixel_size_um: float | None,
    weights: Path | None,
    engine: str = "eager",
    tta: bool,
    only: Callable[[str], bool],
    json_file: Path | None,
    sheet: Path | None,
) -> int:
    """Score the segmenter on a folder of labelled images; print a row per field and the totals."""
    console = Console(stderr=json_file is not None)
    segmenter = load_segmenter(weights, tta=tta, engine=engine)
    images = [image for image in read_labelled(folder, pixel_size_um) if only(image.name)]
    progress = track(images, "scoring", console=console, disable=not console.is_terminal)
    found = evaluate(lambda frame: _masks_of(segmenter, frame), progress)
    console.print(_table(found))
    if json_file is not None:
        write_json(json_file, report_of(found))
    if sheet is not None:
        render_sheet(found).save(sheet)
    return 0


def report_of(found: Evaluation) -> dict[str, object]:
    """Return an evaluation as plain values for JSON."""
    return {
        "cells": asdict(found.cells),
        "nuclei": asdict(found.nuclei) if found.nuclei else None,
        "joint": found.joint,
        "fields": [
            {
                "name": field.name, "ap50": field.cells.ap50, "true": field.cells.true,
                "found": field.cells.predicted, "joint": field.joint, "doubt": field.doubt,
            }
            for field in found.fields
        ],
    }  # fmt: skip


def render_sheet(found: Evaluation) -> Image.Image:
    """Return the worst fields in one picture: truth green, predictions amber on top of it."""
    columns = min(2, max(1, len(found.worst)))
    rows = max(1, -(-len(found.worst) // columns))
    sheet = Image.new("RGB", (columns * SHEET_VIEW_PX, rows * SHEET_VIEW_PX), "white")
    ap50 = {field.name: field.cells.ap50 for field in found.fields}
    for number, (image, cells) in enumerate(found.worst):
        view = Image.fromarray(render_comparison(image.pixels, image.cells, cells))
        view.thumbnail((SHEET_VIEW_PX, SHEET_VIEW_PX))
        caption = f"{image.name}   AP50 {ap50[image.name]:.2f}"
        ImageDraw.Draw(view).text((6, 4), caption, fill="white", font=ImageFont.load_default(14))
        sheet.paste(view, (number % columns * SHEET_VIEW_PX, number // columns * SHEET_VIEW_PX))
    return sheet


def _masks_of(segmenter: Segmenter, frame: Frame) -> tuple[NDArray[np.int32], NDArray[np.int32], str | None]:
    (found,) = segmenter.segment([frame])
    if not isinstance(found, Segmentation):
        raise found
    return found.cells, found.nuclei, found.quality.reason


def _table(found: Evaluation) -> Table:
    table = Table(title=f"{found.cells.fields} fields, {found.cells.true_instances} true cells")
    for name in ("field", "AP50", "F1", "true", "found", "joint", "quality"):
        table.add_column(name, justify="left" if name in ("field", "quality") else "right")
    for field in found.fields:
        cells = field.cells
        f1 = 2 * cells.hits[0] / max(2 * cells.hits[0] + cells.extras[0] + cells.misses[0], 1)
        joint = "" if field.joint is None else f"{field.joint:.2f}"
        values = (f"{cells.ap50:.3f}", f"{f1:.3f}", str(cells.true), str(cells.predicted), joint, field.doubt or "ok")
        table.add_row(field.name, *values)
    table.add_section()
    table.add_row("cells", f"{found.cells.ap50:.3f}", f"{found.cells.f1:.3f}", "", "", "", "")
    if found.nuclei is not None:
        joint = "" if found.joint is None else f"{found.joint:.2f}"
        table.add_row("nuclei", f"{found.nuclei.ap50:.3f}", f"{found.nuclei.f1:.3f}", "", "", joint, "")
    table.caption = _totals(found.cells)
    return table


def _totals(cells: Scores) -> str:
    return (
        f"cells: AP75 {cells.ap75:.3f}, mAP {cells.mean_ap:.3f}, precision {cells.precision:.3f}, recall "
        f"{cells.recall:.3f}, matched IoU {cells.matched_iou:.3f}, area ratio {cells.area_ratio:.3f}, count error "
        f"{cells.count_error:.3f}"
    )
