"""Scores of a segmenter on laboratories that it never saw: a row for each, the median over them as the head number.

    python benchmarks/laboratories.py FOLDER [FOLDER ...] [--weights CARD] [--engine eager] [--json FILE] [--simulated]

A FOLDER holds one folder per laboratory (or is one itself):

    LABORATORY/card.json
    LABORATORY/images/a.tif     grey or colour, any format that cellvigil reads
    LABORATORY/cells/a.png      label images: 0 background, a number for each cell; named as the image
    LABORATORY/nuclei/a.png     label images of nuclei, where there are any

`card.json` says what it is:

    {"modality": "phase contrast", "pixel_size_um": 0.87, "licence": "CC BY 4.0", "truth": "cells",
     "instances": "labels", "bright_unlabelled": false, "note": "free words"}

`truth` is `cells`, `nuclei` or `both`; `instances` may be `components` where masks are 0 and 255 and each connected
part is one instance; `bright_unlabelled` says that nobody outlined bright rounded cells, so that they are no mistakes.
A field without truth for cells is scored on its nuclei alone.

Within a laboratory counts are summed over its fields; laboratories are never pooled. `doubt` counts fields that the
segmenter refused to rely on; `wrong without doubt` those below 0.4 AP50 that it answered all the same. With --simulated
the six simulated laboratories of `monitor.synthetic.foreign`, whose ranges lie outside the training, are added.
"""

import argparse
import json
import statistics
import sys
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from fields import instances
from machine import machine
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from monitor.errors import CellvigilError, FrameRejected
from monitor.frames.frame import Frame
from monitor.frames.reader import SUFFIXES, ReadLimits, read_frame
from monitor.segmentation.segmenter import Segmentation, Segmenter, load_segmenter
from monitor.synthetic.foreign import foreign_fields
from monitor.training.metrics import Matches, match_instances, score

LEAST_CELL_PX, LEAST_NUCLEUS_PX = 60, 30
"""Smaller connected parts of a mask are scraps."""
WRONG = 0.4
"""AP50 below which a field has to be doubted."""


class Card(BaseModel):
    """What a laboratory's folder holds; see the module."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    modality: str
    pixel_size_um: float = Field(gt=0.0)
    licence: str
    truth: Literal["cells", "nuclei", "both"]
    instances: Literal["labels", "components"] = "labels"
    bright_unlabelled: bool = False
    note: str = ""


@dataclass(frozen=True, slots=True)
class LaboratoryField:
    """A field with its truth; cells or nuclei None where nobody labelled them."""

    name: str
    pixels: NDArray[np.generic]
    pixel_size_um: float
    cells: NDArray[np.int32] | None
    nuclei: NDArray[np.int32] | None


@dataclass(frozen=True, slots=True)
class Row:
    """Scores of one laboratory; None where it has no truth of that kind."""

    laboratory: str
    modality: str
    licence: str
    fields: int
    cells: int
    ap50: float | None
    f1: float | None
    area_ratio: float | None
    nuclei: int
    nuclei_f1: float | None
    nuclei_area_ratio: float | None
    doubted: int
    wrong_without_doubt: int
    each: list[dict[str, object]]


def laboratories(folder: Path) -> Iterator[tuple[str, Card, list[Path]]]:
    """Yield name, card and images of every laboratory in a folder.

    Raises
    ------
    SystemExit
        A card is missing or cannot be read; the message names the file and the mend.
    """
    cards = [folder / "card.json"] if (folder / "card.json").is_file() else sorted(folder.glob("*/card.json"))
    if not cards:
        sys.exit(f"{folder} holds no laboratory: a folder with card.json, images/ and cells/ or nuclei/")
    for path in cards:
        try:
            card = Card.model_validate_json(path.read_text(encoding="utf-8"))
        except (ValidationError, UnicodeDecodeError) as error:
            sys.exit(f"{path} is not a laboratory's card: {str(error).splitlines()[-1].strip()}; see --help")
        images = sorted(file for file in (path.parent / "images").glob("*") if file.suffix.lower() in SUFFIXES)
        if not images:
            sys.exit(f"{path.parent / 'images'} holds no image")
        yield path.parent.name, card, images


def fields_of(card: Card, images: list[Path]) -> Iterator[LaboratoryField]:
    """Yield the fields of a laboratory with their truth."""
    for image in images:
        frame = read_frame(image, root=image.parent, pixel_size_um=card.pixel_size_um, limits=ReadLimits())
        cells = _truth(image, "cells", card, LEAST_CELL_PX) if card.truth != "nuclei" else None
        nuclei = _truth(image, "nuclei", card, LEAST_NUCLEUS_PX) if card.truth != "cells" else None
        for labels in (cells, nuclei):
            if labels is not None and labels.shape != frame.shape:
                sys.exit(f"{image}: the image is {frame.shape} and its truth {labels.shape}; export both again")
        yield LaboratoryField(image.stem, frame.pixels, card.pixel_size_um, cells, nuclei)


def _truth(image: Path, kind: str, card: Card, least_px: int) -> NDArray[np.int32]:
    folder = image.parent.parent / kind
    found = [folder / (image.stem + suffix) for suffix in SUFFIXES if (folder / (image.stem + suffix)).is_file()]
    if not found:
        sys.exit(f"{folder} has no truth for {image.name}; add it, or correct `truth` in the card")
    labels = read_frame(found[0], root=folder, pixel_size_um=1.0, limits=ReadLimits()).pixels
    if card.instances == "labels":
        return labels.astype(np.int32)
    return instances(labels, least_px)


def scored(
    name: str,
    modality: str,
    licence: str,
    fields: Iterator[LaboratoryField],
    segmenter: Segmenter,
    *,
    ignore_bright: bool,
) -> Row:
    """Segment every field of a laboratory in one pass and score it."""
    cells: list[Matches] = []
    nuclei: list[Matches] = []
    each: list[dict[str, object]] = []
    for field in fields:
        (found,) = segmenter.segment([Frame(field.pixels, field.pixel_size_um)])
        empty = np.zeros(field.pixels.shape, np.int32)
        if isinstance(found, Segmentation):
            masks, doubt = (found.cells, found.nuclei), found.quality.reason
        elif isinstance(found, FrameRejected):
            masks, doubt = (empty, empty), found.reason
        row: dict[str, object] = {"field": field.name, "doubt": doubt}
        if field.cells is not None:
            matched = match_instances(field.cells, masks[0], field.pixels if ignore_bright else None)
            cells.append(matched)
            row["ap50"] = round(matched.ap50, 4)
        if field.nuclei is not None:
            inner = match_instances(field.nuclei, masks[1], min_true_px=LEAST_NUCLEUS_PX)
            nuclei.append(inner)
            row["nuclei_f1"] = round(score([inner]).f1, 4)
        each.append(row)
    outer, inside = (score(some) if some else None for some in (cells, nuclei))
    return Row(
        laboratory=name, modality=modality, licence=licence, fields=len(each),
        cells=outer.true_instances if outer else 0,
        ap50=round(outer.ap50, 4) if outer else None,
        f1=round(outer.f1, 4) if outer else None,
        area_ratio=round(outer.area_ratio, 4) if outer else None,
        nuclei=inside.true_instances if inside else 0,
        nuclei_f1=round(inside.f1, 4) if inside else None,
        nuclei_area_ratio=round(inside.area_ratio, 4) if inside else None,
        doubted=sum(row["doubt"] is not None for row in each),
        wrong_without_doubt=sum(float(str(row.get("ap50", 1.0))) < WRONG and row["doubt"] is None for row in each),
        each=each,
    )  # fmt: skip


def report(rows: list[Row], segmenter: Segmenter) -> dict[str, object]:
    """Return rows and medians over laboratories as plain values for JSON."""
    heads = {
        name: statistics.median(values)
        for name in ("ap50", "f1", "nuclei_f1", "nuclei_area_ratio")
        if (values := [getattr(row, name) for row in rows if getattr(row, name) is not None])
    }
    return {
        "machine": machine(),
        "weights": segmenter.weights_digest,
        "engine": segmenter.engine_name,
        "median_over_laboratories": heads,
        "wrong_without_doubt": sum(row.wrong_without_doubt for row in rows),
        "laboratories": [asdict(row) for row in rows],
    }


def table(rows: list[Row]) -> str:
    """Return the rows as text, one line per laboratory."""
    names = ("cells", "AP50", "F1", "area", "nuclei", "F1", "area", "doubt", "wrong")
    widths = (7, 7, 7, 7, 8, 7, 7, 7, 7)
    head = f"{'laboratory':26}{'fields':>7}" + "".join(f"{name:>{w}}" for name, w in zip(names, widths, strict=True))
    lines = [head]
    for row in rows:
        numbers = [row.ap50, row.f1, row.area_ratio]
        inner = [row.nuclei_f1, row.nuclei_area_ratio]
        shown = "".join(f"{'-':>7}" if value is None else f"{value:7.3f}" for value in numbers)
        shown_inner = "".join(f"{'-':>7}" if value is None else f"{value:7.3f}" for value in inner)
        lines.append(
            f"{row.laboratory[:25]:26}{row.fields:7}{row.cells:7}{shown}{row.nuclei:8}{shown_inner}"
            f"{row.doubted:7}{row.wrong_without_doubt:7}"
        )
    return "\n".join(lines)


def main() -> None:
    """Score, print the table, write JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folders", nargs="*", type=Path)
    parser.add_argument("--weights", type=Path, help="card of other weights than the shipped ones")
    parser.add_argument("--engine", default="eager")
    parser.add_argument("--simulated", action="store_true", help="add the six simulated laboratories")
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    if not args.folders and not args.simulated:
        parser.error("name a folder of laboratories, or --simulated")
    try:
        segmenter = load_segmenter(args.weights, engine=args.engine)
        rows = []
        for folder in args.folders:
            for name, card, images in laboratories(folder):
                rows.append(
                    scored(name, card.modality, card.licence, fields_of(card, images), segmenter,
                           ignore_bright=card.bright_unlabelled)
                )  # fmt: skip
        for name, modality, scenes in foreign_fields() if args.simulated else ():
            fields = (
                LaboratoryField(f"{name} {index}", scene.pixels, scene.pixel_size_um, scene.cells, scene.nuclei)
                for index, scene in enumerate(scenes)
            )
            rows.append(scored(name, modality, "simulated", fields, segmenter, ignore_bright=False))
    except CellvigilError as error:
        sys.exit(str(error))
    print(table(rows))
    found = report(rows, segmenter)
    print("median over laboratories:", json.dumps(found["median_over_laboratories"]))
    if args.json is not None:
        args.json.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
