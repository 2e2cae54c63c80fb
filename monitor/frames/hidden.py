"""Parts of a frame that show no sample: beyond a field stop, or drawn over by a scale bar or text.

They are filled with what surrounds them before the network looks, carry no cells, and do not count as ground.
"""

from typing import cast

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage, spatial

from monitor.frames.frame import Frame
from monitor.frames.marks import burnt_in
from monitor.frames.running_mean import running_mean

BLOCKS = 128
"""A field stop is looked for on so many blocks along the longer side."""
STOPPED = 0.2
"""Beyond a stop less than this share of the light arrives, the camera's offset included."""
PENUMBRA = 0.35
"""What borders on it belongs to it as long as less than this share arrives: contrast falls as the light does."""
FLAT = 0.03
"""Nothing is seen beyond a stop: pixels vary by less than this share of the light."""
LEAST_SHARE, MOST_SHARE = 0.01, 0.75
LEAST_SOLIDITY = 0.93
"""What a stop leaves is a circle, a rectangle or a part of one: it fills its convex hull."""
NEAR_PX, FAR_PX = 31, 127
"""Windows, one after the other, from which hidden parts are filled."""
MOSTLY = 0.5
"""An instance of which more than this share is hidden is none."""


def hidden_in(pixels: NDArray[np.generic]) -> NDArray[np.bool_] | None:
    """Return where a frame shows no sample.

    Parameters
    ----------
    pixels
        (Y, X) camera counts; frames that are no unsigned integers have no such parts.

    Returns
    -------
    (Y, X) bool, None where there is nothing hidden, which is nearly always.
    """
    if not np.issubdtype(pixels.dtype, np.unsignedinteger):
        return None
    counts = cast("NDArray[np.unsignedinteger]", pixels)
    stop, marks = beyond_stop(counts), burnt_in(counts)
    if stop is None or marks is None:
        return marks if stop is None else stop
    return stop | marks


def beyond_stop(pixels: NDArray[np.unsignedinteger]) -> NDArray[np.bool_] | None:
    """Return (Y, X) bool: what a field stop or a strong vignette keeps dark; None where there is neither.

    Dark, without detail, on the frame's border, and what is left is convex.
    """
    side = max(1, max(pixels.shape) // BLOCKS)
    rows, columns = (length // side for length in pixels.shape)
    whole = pixels[: rows * side, : columns * side]
    blocks = whole.reshape(rows, side, columns, side).swapaxes(1, 2).reshape(rows, columns, -1)
    level = blocks.mean(-1, dtype=np.float32)
    light = float(np.median(level[level >= 0.5 * level.max()]))
    dark = _at_border(level < STOPPED * light)
    if not LEAST_SHARE <= dark.mean() <= MOST_SHARE or float(np.median(blocks[dark].std(-1))) > FLAT * light:
        return None
    shaded = ndimage.binary_propagation(dark, mask=level < PENUMBRA * light)
    lit = ndimage.binary_fill_holes(~shaded)
    if lit.mean() < 1.0 - MOST_SHARE or lit.sum() < LEAST_SOLIDITY * _hull_area(lit):
        return None
    # a block on the edge is half dark
    grown = ndimage.binary_dilation(~lit, iterations=1)
    found = np.repeat(np.repeat(grown, side, 0), side, 1)
    return np.pad(found, [(0, full - part) for full, part in zip(pixels.shape, found.shape, strict=True)], mode="edge")


def filled(frame: Frame, hidden: NDArray[np.bool_]) -> Frame:
    """Return a frame in which hidden parts hold the mean of what is seen near them, and far from it the median."""
    pixels = frame.pixels.astype(np.float32)
    seen = ~hidden
    smooth = np.full(pixels.shape, np.median(pixels[seen]), np.float32)
    for window in (FAR_PX, NEAR_PX):
        window = min(window, (min(pixels.shape) - 1) // 2 * 2 - 1)
        share = running_mean(seen.astype(np.float32), window)
        mean = running_mean(np.where(seen, pixels, np.float32(0.0)), window) / np.maximum(share, np.float32(1e-6))
        smooth = np.where(share > 0.05, mean, smooth)
    whole = np.where(hidden, np.rint(smooth), pixels).astype(frame.pixels.dtype)
    return Frame(whole, frame.pixel_size_um)


def without_hidden(
    cells: NDArray[np.int32], nuclei: NDArray[np.int32], hidden: NDArray[np.bool_]
) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """Return (Y, X) label images without cells that are mostly hidden, and without their nuclei; ids stay."""
    area = np.bincount(cells.ravel())
    lost = np.bincount(cells[hidden], minlength=area.size) > MOSTLY * area
    lost[0] = False
    gone = lost[cells]
    return np.where(gone, 0, cells), np.where(gone, 0, nuclei)


def _at_border(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Return the connected parts of a mask that lie on the border."""
    border = np.ones(mask.shape, bool)
    border[1:-1, 1:-1] = False
    touching: NDArray[np.bool_] = ndimage.binary_propagation(mask & border, mask=mask)
    return touching


def _hull_area(mask: NDArray[np.bool_]) -> float:
    """Return the area of the convex hull of the corners of a mask's pixels."""
    y, x = np.nonzero(mask)
    corners = np.concatenate([np.stack([y + dy, x + dx], 1) for dy in (0, 1) for dx in (0, 1)])
    return float(spatial.ConvexHull(corners).volume)
