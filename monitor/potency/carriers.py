"""The cells that carry an estimate: those that lie furthest in the direction of the feature that moved it most."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from monitor.potency.explain import STATISTICS, Driver
from monitor.segmentation.overlay import CELL_RGB, outline

Vector = NDArray[np.float64]
OF_FRACTIONS = {
    "fraction_spindle": "aspect_ratio",
    "fraction_large_flat": "area",
    "fraction_multinucleate": "nucleus_count",
    "fraction_rounded": "form_factor",
}
"""Which cell feature decides who is counted."""
THUMBNAIL_PX = 160
CAPTION_PX = 18
MARGIN = 0.2
COLUMNS = 6


@dataclass(frozen=True, slots=True)
class Carriers:
    """Cells that carry a driver: ids (C,) of the label image, furthest first, and their values of a cell feature."""

    driver: Driver
    cell_feature: str
    ids: NDArray[np.int64]
    values: Vector


def find_carriers(
    drivers: Sequence[Driver], cells: Mapping[str, Vector], whole: NDArray[np.bool_], count: int = 12
) -> Carriers | None:
    """Return the cells that lie furthest on the side on which a frame departs from the reference.

    Parameters
    ----------
    drivers
        Strongest first; the first one that cells have a value of is taken, one with a reference first.
    cells, whole
        As in `FrameFeatures`: (N,) values by cell feature, row i is the cell with id i + 1, and (N,) bool, False for
        cells that the border cuts, which are never shown.

    Returns
    -------
    None when no driver is about single cells, as confluency is not, or no whole cell has a value.
    """
    for driver in sorted(drivers, key=lambda driver: driver.usual is None):
        feature = _cell_feature(driver.feature)
        if feature not in cells:
            continue
        values = cells[feature]
        usable = np.flatnonzero(whole & np.isfinite(values))
        if not len(usable):
            continue
        low = driver.usual is not None and driver.value < driver.usual
        order = usable[np.argsort(values[usable] if low else -values[usable], kind="stable")][:count]
        return Carriers(driver, feature, order + 1, values[order])
    return None


def draw_carriers(
    pixels: NDArray[np.generic], labels: NDArray[np.int32], carriers: Carriers, pixel_size_um: float, note: str = ""
) -> Image.Image:
    """Return a sheet of thumbnails, all at one scale, the cell outlined in amber, its value below, a scale bar above.

    Parameters
    ----------
    pixels
        (Y, X) frame of any number type.
    labels
        (Y, X) label image that the ids of the carriers refer to.
    pixel_size_um
        Side of a pixel of both.
    note
        A line to stand above everything, such as whose model this is.
    """
    boxes = [_box(labels, int(number)) for number in carriers.ids]
    side = max(1, round((1.0 + MARGIN) * max(max(box[1] - box[0], box[3] - box[2]) for box in boxes)))
    low, high = np.percentile(pixels.astype(np.float32), [0.5, 99.5])
    columns = min(COLUMNS, len(boxes))
    rows = -(-len(boxes) // columns)
    head = [*filter(None, [note]), f"{carriers.cell_feature.replace('_', ' ')} of single cells; the frame:"]
    head.append(carriers.driver.sentence())
    title = (len(head) + 1) * CAPTION_PX
    sheet = Image.new("RGB", (columns * THUMBNAIL_PX, title + rows * (THUMBNAIL_PX + CAPTION_PX)), (20, 20, 20))
    draw, font = ImageDraw.Draw(sheet), ImageFont.load_default(12)
    for line, text in enumerate(head):
        draw.text((4, 2 + line * CAPTION_PX), text, (230, 230, 230), font)
    _draw_scale(draw, font, title - CAPTION_PX, (THUMBNAIL_PX - 4) / (side * pixel_size_um))
    for place, (number, value, box) in enumerate(zip(carriers.ids, carriers.values, boxes, strict=True)):
        view = _view(pixels, labels, int(number), box, side)
        grey = np.clip((view[0] - low) / max(float(high - low), 1e-6), 0.0, 1.0) * 255.0
        picture = np.repeat(grey.astype(np.uint8)[:, :, None], 3, axis=2)
        picture[outline(view[1].astype(np.int32))] = CELL_RGB
        left, top = place % columns * THUMBNAIL_PX, title + place // columns * (THUMBNAIL_PX + CAPTION_PX)
        sheet.paste(Image.fromarray(picture).resize((THUMBNAIL_PX - 4, THUMBNAIL_PX - 4)), (left + 2, top))
        unit = carriers.driver.unit if carriers.driver.feature not in OF_FRACTIONS else ""
        draw.text((left + 4, top + THUMBNAIL_PX - 3), f"{value:.4g} {unit}".rstrip(), (230, 230, 230), font)
    return sheet


def _draw_scale(
    draw: ImageDraw.ImageDraw, font: ImageFont.FreeTypeFont | ImageFont.ImageFont, top: int, px_per_um: float
) -> None:
    """Draw a bar of a round length, about half a thumbnail long, with its length behind."""
    most = THUMBNAIL_PX / 2 / px_per_um
    power = 10.0 ** np.floor(np.log10(most))
    length = max(step * power for step in (1.0, 2.0, 5.0) if step * power <= most)
    draw.line([(4, top + 9), (4 + length * px_per_um, top + 9)], (230, 230, 230), 3)
    draw.text((10 + length * px_per_um, top + 2), f"{length:g} um", (230, 230, 230), font)


def _cell_feature(feature: str) -> str:
    base, _, short = feature.rpartition("_")
    return base if short in STATISTICS else OF_FRACTIONS.get(feature, "")


def _box(labels: NDArray[np.int32], number: int) -> tuple[int, int, int, int]:
    inside = labels == number
    y, x = np.flatnonzero(inside.any(axis=1)), np.flatnonzero(inside.any(axis=0))
    return int(y[0]), int(y[-1]) + 1, int(x[0]), int(x[-1]) + 1


def _view(
    pixels: NDArray[np.generic], labels: NDArray[np.int32], number: int, box: tuple[int, int, int, int], side: int
) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """Return a square of pixels around a box and where the cell is in it; beyond the frame it repeats the edge."""
    y = np.clip(np.arange(side) + (box[0] + box[1] - side) // 2, 0, labels.shape[0] - 1)
    x = np.clip(np.arange(side) + (box[2] + box[3] - side) // 2, 0, labels.shape[1] - 1)
    return pixels[np.ix_(y, x)].astype(np.float32), labels[np.ix_(y, x)] == number
