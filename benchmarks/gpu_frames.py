"""Frames as a camera gives them, of any size, for a machine that has the sources only."""

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from monitor.frames.frame import Frame


def camera_frames(side: int, count: int) -> "list[Frame]":
    """Return 16-bit square frames of cells, laid out of the shipped ones."""
    from monitor.engine.views import parity_views  # where packages are missing only what needs frames fails

    views = parity_views()
    return [_wide(views[index % len(views)], side) for index in range(count)]


def _wide(view: "Frame", side: int) -> "Frame":
    """Return a frame of any side: a view and its mirror images, so that cells go on where they meet."""
    pixels = view.pixels.astype(np.float32)
    low, high = pixels.min(), pixels.max()
    counts = ((pixels - low) / max(high - low, 1.0) * 4000.0 + 500.0).astype(np.uint16)
    padding = [(0, max(0, side - length)) for length in counts.shape]
    wide = np.ascontiguousarray(np.pad(counts, padding, mode="symmetric")[:side, :side])
    return type(view)(wide, view.pixel_size_um)
