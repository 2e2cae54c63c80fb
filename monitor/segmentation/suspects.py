"""Cells that may not be what they seem: cut by the border, or several that were taken for one."""

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

APART_UM = 30.0
"""Nuclei of one binucleate cell lie side by side; further apart than this they belong to two cells."""
LENGTH_MOST_UM = 400.0
"""No single adherent cell is longer, by the diagonal of its bounding box."""


def cut_by_border(cells: NDArray[np.int32]) -> NDArray[np.bool_]:
    """Return (N,) bool for cells 1..N of a (Y, X) label image: which touch the frame's edge."""
    cut = np.zeros(int(cells.max(initial=0)) + 1, bool)
    for edge in (cells[0], cells[-1], cells[:, 0], cells[:, -1]):
        cut[edge] = True
    return cut[1:]


def likely_merged(cells: NDArray[np.int32], nuclei: NDArray[np.int32], pixel_size_um: float) -> NDArray[np.bool_]:
    """Return (N,) bool for cells 1..N: which hold nuclei too far apart for one cell, or are too long for one.

    `cells` and `nuclei` are (Y, X) label images, every nucleus within one cell.
    """
    count = int(cells.max(initial=0))
    merged = np.zeros(count + 1, bool)
    for label, window in enumerate(ndimage.find_objects(cells), start=1):
        if window is not None:
            sides = [(part.stop - part.start) * pixel_size_um for part in window]
            merged[label] = float(np.hypot(*sides)) > LENGTH_MOST_UM
    y, x = np.nonzero(nuclei)
    if y.size:
        names = nuclei[y, x]
        size = np.maximum(np.bincount(names), 1)
        owner = np.zeros(size.size, np.int32)
        owner[names] = cells[y, x]
        centre_y, centre_x = (np.bincount(names, place) / size for place in (y, x))
        for label in map(int, np.flatnonzero(np.bincount(owner[1:], minlength=count + 1) > 1)):
            if label == 0:
                continue
            held = np.flatnonzero(owner == label)
            spread = np.hypot(np.ptp(centre_y[held]), np.ptp(centre_x[held])) * pixel_size_um
            merged[label] |= spread > APART_UM
    return merged[1:]
