"""Outline the cells of an array and measure them. The array is simulated; put your own in its place.

python docs/examples/segment_an_array.py
"""

import numpy as np

import monitor
from monitor.synthetic.culture import Culture, CultureSpec

simulated = Culture(CultureSpec(flask="A1", seed=7)).frame("p1", 0)
pixels, pixel_size_um = simulated.pixels, simulated.pixel_size_um

found = monitor.segment_image(pixels, pixel_size_um)
if not found.quality.passes:
    raise SystemExit(f"the outlines should not be relied on: {found.quality.reason}")

features = monitor.measure(pixels, found, families=())
area = np.median(features.cells["area"][features.whole])  # of the cells that the border does not cut
print(
    f"{found.n_cells} cells and {found.n_nuclei} nuclei, {simulated.cells.max()} and {simulated.nuclei.max()} in truth"
)
print(f"{100 * found.quality.confluency:.0f} % covered, median area {area:.0f} um2")
