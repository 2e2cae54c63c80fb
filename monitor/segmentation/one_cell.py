"""The picture of a single cell: where it lies, and its surroundings with its outline."""

import numpy as np
from numpy.typing import NDArray

from monitor.segmentation.overlay import CELL_RGB, outline

Box = tuple[int, int, int, int]
"""First row, the row after the last, first column, the column after the last."""


def box_of(labels: NDArray[np.int32], number: int) -> Box:
    """Return where a cell lies in a (Y, X) label image; KeyError where there is no such cell."""
    inside = labels == number
    y, x = np.flatnonzero(inside.any(axis=1)), np.flatnonzero(inside.any(axis=0))
    if not len(y):
        raise KeyError(number)
    return int(y[0]), int(y[-1]) + 1, int(x[0]), int(x[-1]) + 1


def draw_cell(
    pixels: NDArray[np.generic],
    labels: NDArray[np.int32],
    number: int,
    box: Box,
    side: int,
    levels: tuple[float, float],
) -> NDArray[np.uint8]:
    """Return (side, side, 3) uint8: the middle of a box, stretched between two levels, the cell outlined in amber.

    Beyond the frame it is black: a cell that the border cuts ends there.
    """
    low, high = levels
    y = np.arange(side) + (box[0] + box[1] - side) // 2
    x = np.arange(side) + (box[2] + box[3] - side) // 2
    height, width = labels.shape
    within = ((y >= 0) & (y < height))[:, None] & ((x >= 0) & (x < width))
    place = np.ix_(np.clip(y, 0, height - 1), np.clip(x, 0, width - 1))
    grey = np.clip((pixels[place].astype(np.float32) - low) / max(high - low, 1e-6), 0.0, 1.0) * 255.0 * within
    picture = np.repeat(grey.astype(np.uint8)[:, :, None], 3, axis=2)
    picture[outline(((labels[place] == number) & within).astype(np.int32)) & within] = CELL_RGB
    return picture
