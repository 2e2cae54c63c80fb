"""Measure something of your own on every cell and put it beside the other features of the frames.

    python docs/examples/add_an_own_feature.py FOLDER TABLE.csv

`cellvigil train potency TABLE.csv` learns from such a column as from any other, and `cellvigil predict` uses the
model. A run measures only what the catalogue knows: how a feature gets there stands in CONTRIBUTING, "A feature".
"""

import csv
import sys
from pathlib import Path

import numpy as np
from scipy import ndimage

import monitor


def rim_brightness(pixels: np.ndarray, cells: np.ndarray) -> np.ndarray:
    """Return (N,) mean of each cell's outermost pixels over the mean of its others; NaN where it has no others."""
    inside = ndimage.minimum_filter(cells, 5) == ndimage.maximum_filter(cells, 5)  # 2 pixels away from the outline
    ids = np.arange(1, cells.max() + 1)
    rim, middle = (ndimage.mean(pixels, np.where(part, cells, 0), ids) for part in (~inside, inside))
    ratio: np.ndarray = rim / middle
    return ratio


folder, table = map(Path, sys.argv[1:3])
with table.open("w", encoding="utf-8", newline="") as stream:
    writer = csv.writer(stream)
    writer.writerow(["source", "state", "area_median", "rim_brightness_median"])
    for path in sorted(folder.rglob("*.tif")):
        frame = monitor.read_frame(path)
        found = monitor.segment_image(frame.pixels, frame.pixel_size_um)
        features = monitor.measure(frame, found, families=())
        own = float(np.nanmedian(rim_brightness(frame.pixels, found.cells)[features.whole]))
        state = "ok" if found.quality.passes else found.quality.reason
        writer.writerow([path.name, state, features.population.get("area_median", ""), own])
        print(f"{path.name}: the rim of the median cell has {own:.3f} times the brightness of its middle")
