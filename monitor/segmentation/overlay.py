"""The picture of a segmentation: the frame in grey with the outlines of cells and nuclei."""

import numpy as np
from numpy.typing import NDArray

CELL_RGB = (255, 190, 0)
NUCLEUS_RGB = (0, 190, 255)
TRUE_RGB = (70, 220, 90)
SAMPLE_PX = 1 << 20


def render_overlay(
    pixels: NDArray[np.generic], cells: NDArray[np.int32], nuclei: NDArray[np.int32]
) -> NDArray[np.uint8]:
    """Return (Y, X, 3) uint8: the frame stretched between its 0.5 and 99.5 percentiles, cells amber, nuclei blue."""
    picture = _grey(pixels)
    picture[outline(cells)] = CELL_RGB
    picture[outline(nuclei)] = NUCLEUS_RGB
    return picture


def render_comparison(
    pixels: NDArray[np.generic], truth: NDArray[np.int32], found: NDArray[np.int32]
) -> NDArray[np.uint8]:
    """Return (Y, X, 3) uint8: the frame, true cells in green and on top of them the ones that were found in amber."""
    picture = _grey(pixels)
    picture[outline(truth)] = TRUE_RGB
    picture[outline(found)] = CELL_RGB
    return picture


def stretched(pixels: NDArray[np.generic]) -> NDArray[np.uint8]:
    """Return (Y, X) uint8: the frame stretched between its 0.5 and 99.5 percentiles.

    Of a frame above `SAMPLE_PX` pixels they are taken over every n-th row and column.
    """
    every = max(1, round((pixels.size / SAMPLE_PX) ** 0.5))
    low, high = np.percentile(pixels[::every, ::every].astype(np.float32), [0.5, 99.5])
    grey = pixels.astype(np.float32)
    grey -= low
    grey *= 255.0 / max(high - low, 1e-6)
    return np.clip(grey, 0.0, 255.0, out=grey).astype(np.uint8)


def _grey(pixels: NDArray[np.generic]) -> NDArray[np.uint8]:
    return np.repeat(stretched(pixels)[:, :, None], 3, axis=2)


def outline(labels: NDArray[np.int32]) -> NDArray[np.bool_]:
    """Return (Y, X) bool: pixels that differ from the one below or to the right."""
    edge = np.zeros(labels.shape, bool)
    edge[:-1] |= labels[:-1] != labels[1:]
    edge[:, :-1] |= labels[:, :-1] != labels[:, 1:]
    return edge
