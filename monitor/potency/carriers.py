"""The cells that carry an estimate: those that lie furthest in the direction of the feature that moved it most."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from monitor.potency.explain import STATISTICS, Driver
from monitor.segmentation.one_cell import box_of, draw_cell

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
    boxes = [box_of(labels, int(number)) for number in carriers.ids]
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
        picture = draw_cell(pixels, labels, int(number), box, side, (float(low), float(high)))
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
