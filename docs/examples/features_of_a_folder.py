"""Measure every frame below a folder and write a table, a row per frame; what cannot be read says why.

    python docs/examples/features_of_a_folder.py FOLDER TABLE.csv

`cellvigil features` does more: cells, flasks, tracks, growth and the sample list.
"""

import csv
import sys
from pathlib import Path

import monitor

folder, table = map(Path, sys.argv[1:3])
rows = []
for path in sorted(folder.rglob("*.tif")):
    try:
        frame = monitor.read_frame(path)
        found = monitor.segment_image(frame.pixels, frame.pixel_size_um)
    except monitor.CellvigilError as error:
        print(f"{path.name}: {error}")
        continue
    state = "ok" if found.quality.passes else found.quality.reason
    population = monitor.measure(frame, found, families=()).population
    rows.append({"flask": path.parts[-3], "source": path.name, "state": state, "n_cells": found.n_cells} | population)

columns = list(dict.fromkeys(name for row in rows for name in row))  # a frame without cells lacks some
with table.open("w", encoding="utf-8", newline="") as stream:
    writer = csv.DictWriter(stream, columns)
    writer.writeheader()
    writer.writerows(rows)
print(f"{len(rows)} frames and {len(columns)} columns in {table}")
